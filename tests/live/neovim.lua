-- What somebody does in Neovim with a spec that has a mistake; writes what the server said to found.json.
-- `vim.lsp.start_client` is in every version from 0.5 on.
local found = {}
vim.cmd("edit net.yaml")
local buffer = vim.api.nvim_get_current_buf()
local client = vim.lsp.start_client({
  name = "composer",
  cmd = vim.json.decode(vim.env.COMPOSER),
  root_dir = vim.loop.cwd(),
})
vim.lsp.buf_attach_client(buffer, client)

local function has(count)
  return vim.wait(90000, function()
    return #vim.diagnostic.get(buffer) == count
  end, 20)
end

local function ask(method, line, character, more)
  local asked = { textDocument = vim.lsp.util.make_text_document_params(buffer) }
  asked.position = { line = line, character = character }
  local answers = vim.lsp.buf_request_sync(buffer, method, vim.tbl_extend("error", asked, more or {}), 60000)
  return answers and answers[client] and answers[client].result
end

found.has_mistake = has(1)
found.mistake = vim.diagnostic.get(buffer)[1]
found.completed = ask("textDocument/completion", 2, 10)
found.defined = ask("textDocument/definition", 0, 12)
-- Typed, not saved.
vim.api.nvim_buf_set_text(buffer, 2, 10, 2, 14, { "cbam" })
found.is_mended = has(0)
found.hovered = ask("textDocument/hover", 2, 12)
local range = { start = { line = 0, character = 0 }, ["end"] = { line = 3, character = 0 } }
found.inlays = ask("textDocument/inlayHint", 0, 0, { range = range })
vim.fn.writefile({ vim.json.encode(found) }, "found.json")
vim.cmd("quitall!")
