-- composer's language server, and the picture of a spec (:ComposerPreview), in Neovim from version 0.11 on.
vim.lsp.config("composer", { cmd = { "composer", "lsp" }, filetypes = { "yaml" }, root_markers = { ".git" } })
vim.lsp.enable("composer")
vim.lsp.inlay_hint.enable(true)

vim.api.nvim_create_user_command("ComposerPreview", function()
  local client = vim.lsp.get_clients({ bufnr = 0, name = "composer" })[1]
  if client then
    client:exec_cmd({ title = "preview", command = "composer.preview", arguments = { vim.uri_from_bufnr(0) } })
  else
    vim.notify("composer does not attend to this buffer")
  end
end, {})
