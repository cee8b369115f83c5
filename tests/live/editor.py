"""An editor, as the language server knows it: pygls's own client, in a thread, so that tests need no event loop.

pytest-lsp would give the same client, but brings pytest-asyncio, which ends every run where warnings are errors and its
option is unset; and where it is not installed, that option is an unknown one, which is an error too.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types
from pygls.lsp.client import LanguageClient

Found = TypeVar("Found")
# Seconds; the machine of the tests may be busy.
PATIENCE = 90


@dataclass
class Connection:
    """A client with a running server, and what the server told it."""

    loop: asyncio.AbstractEventLoop
    client: LanguageClient = field(default_factory=lambda: LanguageClient("editor", "1"))
    told: list[types.PublishDiagnosticsParams] = field(default_factory=list)
    shown: list[types.ShowDocumentParams] = field(default_factory=list)
    capabilities: types.ServerCapabilities | None = None

    def __post_init__(self) -> None:
        @self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def published(params: types.PublishDiagnosticsParams) -> None:
            self.told.append(params)

        @self.client.feature(types.WINDOW_SHOW_DOCUMENT)
        def show(params: types.ShowDocumentParams) -> types.ShowDocumentResult:
            self.shown.append(params)
            return types.ShowDocumentResult(True)

    def run(self, coroutine: Coroutine[Any, Any, Found]) -> Found:
        """What a coroutine of the client gives."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)

    def start(self, *words: str, encodings: list[str] | None = None, options: Any = None) -> None:
        """Start a server, and begin a session with it."""
        general = types.GeneralClientCapabilities(position_encodings=encodings) if encodings else None
        window = types.WindowClientCapabilities(show_document=types.ShowDocumentClientCapabilities(True))
        asked = types.InitializeParams(
            capabilities=types.ClientCapabilities(general=general, window=window), initialization_options=options
        )

        async def begin() -> None:
            await self.client.start_io(sys.executable, "-m", "composer", "lsp", *words)
            self.capabilities = (await self.client.initialize_async(asked)).capabilities
            self.client.initialized(types.InitializedParams())

        self.run(begin())

    def stop(self) -> None:
        """End the session."""

        async def end() -> None:
            await self.client.shutdown_async(None)
            self.client.exit(None)
            await self.client.stop()

        self.run(end())


@contextmanager
def connected(*words: str, **settings: Any) -> Iterator[Connection]:
    """A connection to a new server."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    connection = Connection(loop)
    try:
        connection.start(*words, **settings)
        yield connection
        connection.stop()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@dataclass
class Buffer:
    """A text in the editor, saved or not."""

    connection: Connection
    path: Path
    version: int = 0

    @property
    def uri(self) -> str:
        return self.path.as_uri()

    @property
    def document(self) -> types.TextDocumentIdentifier:
        return types.TextDocumentIdentifier(self.uri)

    def put(self, text: str) -> None:
        """Open the text, or change it."""
        self.version += 1
        self.connection.run(self._put(text))

    async def _put(self, text: str) -> None:
        client = self.connection.client
        if self.version == 1:
            item = types.TextDocumentItem(self.uri, "yaml", self.version, text)
            client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        else:
            document = types.VersionedTextDocumentIdentifier(self.version, self.uri)
            change = types.TextDocumentContentChangeWholeDocument(text)
            client.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    def write(self, text: str) -> list[types.Diagnostic]:
        """Open or change the text; the problems of this version, when its network was composed."""
        self.put(text)
        self.inlays()
        return next(one.diagnostics for one in reversed(self.connection.told) if one.version == self.version)

    def inlays(self) -> list[str]:
        everything = types.Range(types.Position(0, 0), types.Position(1000, 0))
        asked = types.InlayHintParams(self.document, everything)
        found = self.connection.run(self.connection.client.text_document_inlay_hint_async(asked))
        return [f"{one.position.line}:{one.position.character} {one.label}" for one in found or []]

    def hover(self, line: int, character: int) -> str:
        asked = types.HoverParams(self.document, types.Position(line, character))
        found = self.connection.run(self.connection.client.text_document_hover_async(asked))
        return "" if found is None else found.contents.value

    def completions(self, line: int, character: int) -> list[types.CompletionItem]:
        asked = types.CompletionParams(self.document, types.Position(line, character))
        return list(self.connection.run(self.connection.client.text_document_completion_async(asked)) or [])

    def definitions(self, line: int, character: int) -> list[types.Location]:
        asked = types.DefinitionParams(self.document, types.Position(line, character))
        return list(self.connection.run(self.connection.client.text_document_definition_async(asked)) or [])

    def actions(self, where: types.Range) -> list[types.CodeAction]:
        asked = types.CodeActionParams(self.document, where, types.CodeActionContext([]))
        return list(self.connection.run(self.connection.client.text_document_code_action_async(asked)) or [])
