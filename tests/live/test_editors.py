"""The extension of VS Code starts the language server as it is, and is short."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from composer.cli.app import VERBS

EDITORS = Path(__file__).parents[2] / "examples" / "editors"
VSCODE = EDITORS / "vscode"
# Stand-ins for VS Code and the client of its protocol, which say what they are asked for.
STANDING_IN = """
const Module = require("module");
const said = [];
const load = Module._load;
Module._load = (name, ...rest) => {
  if (name === "vscode") return {
    workspace: { getConfiguration: () => ({ get: () => "composer" }) },
    extensions: { getExtension: () => HAS_YAML || undefined },
    window: { activeTextEditor: { document: { uri: new URL("file:///net.yaml") } } },
    commands: { registerCommand: (name, open) => (said.push(name), { open }) },
  };
  if (name === "vscode-languageclient/node") return {
    LanguageClient: class {
      constructor(name, server, texts) { said.push(server, texts.initializationOptions); }
      async start() {}
      async sendRequest(method, params) { said.push(method, params); }
    },
  };
  return load(name, ...rest);
};
const context = { subscriptions: [] };
require(EXTENSION).activate(context).then(() => context.subscriptions[0].open())
  .then(() => console.log(JSON.stringify(said)));
"""


def test_the_extension_has_at_most_fifty_lines() -> None:
    assert sum(len(file.read_text().splitlines()) for file in VSCODE.iterdir()) <= 50


@pytest.mark.parametrize(("has_yaml", "options"), [(True, {}), (False, {"besideYamlLanguageServer": False})])
def test_the_extension_starts_the_server_and_opens_the_preview(has_yaml: bool, options: object) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node to run the extension")
    package = json.loads((VSCODE / "package.json").read_text())
    (command,) = package["contributes"]["commands"]
    # Not of a folder: that could start any program.
    assert package["contributes"]["configuration"]["properties"]["composer.command"]["scope"] == "machine"
    extension = str(VSCODE / package["main"])
    code = f"const HAS_YAML = {json.dumps(has_yaml)}, EXTENSION = {json.dumps(extension)};{STANDING_IN}"
    done = subprocess.run([node, "-e", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [
        {"command": "composer", "args": ["lsp"]},
        options,
        command["command"],
        "workspace/executeCommand",
        {"command": "composer.preview", "arguments": ["file:///net.yaml"]},
    ]
    assert "lsp" in VERBS


def test_the_docs_have_the_lines_of_neovim() -> None:
    lines = (EDITORS / "nvim.lua").read_text().splitlines()
    docs = (Path(__file__).parents[2] / "examples/guides" / "editors.md").read_text()
    assert "\n".join(lines[1:4]) in docs
