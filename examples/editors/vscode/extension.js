// composer's language server, and the picture of a spec, in VS Code.
const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

exports.activate = async (context) => {
  const command = vscode.workspace.getConfiguration("composer").get("command");
  // Without the extension of yaml-language-server, nobody else completes what composer's schema knows.
  const options = vscode.extensions.getExtension("redhat.vscode-yaml") ? {} : { besideYamlLanguageServer: false };
  const texts = { documentSelector: [{ language: "yaml" }], initializationOptions: options };
  client = new LanguageClient("composer", { command, args: ["lsp"] }, texts);
  const open = () => {
    const uri = vscode.window.activeTextEditor?.document.uri.toString() ?? "";
    return client.sendRequest("workspace/executeCommand", { command: "composer.preview", arguments: [uri] });
  };
  context.subscriptions.push(vscode.commands.registerCommand("composer.openPreview", open));
  await client.start();
};

exports.deactivate = () => client?.stop();
