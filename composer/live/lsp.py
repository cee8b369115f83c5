"""The language server: composer's answers for an editor, by the protocol of language servers."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from lsprotocol import types
from lsprotocol.types import Diagnostic as Shown
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path, to_fs_path

from composer import __version__
from composer.errors import Diagnostic, Location, Source
from composer.live import telling
from composer.live.completion import Completer, word_at
from composer.live.cursor import Spot, readable, spot
from composer.live.definition import Definition, file_of
from composer.live.fixes import Fix, fixes
from composer.live.grammar import Grammar
from composer.live.hover import Hover
from composer.live.inlays import inlays
from composer.live.latest import Latest, Text
from composer.live.reading import Reader, Reading, is_spec, names_schema
from composer.live.units import ends_of, index_of

# Seconds for which an answer waits until the newest text is read: the first one may wait for torch.
PATIENCE = 60.0
# The option with which an editor says whether yaml-language-server completes too.
BESIDE = "besideYamlLanguageServer"

Answer = TypeVar("Answer")


@dataclass
class Session:
    """The texts of an editor, and what it is told of them.

    beside  whether yaml-language-server completes what its schema knows; None: where a text names composer's schema
    """

    server: LanguageServer
    grammar: Grammar
    reader: Reader
    beside: bool | None = None
    loop: asyncio.AbstractEventLoop | None = None
    latest: Latest = field(init=False)

    def __post_init__(self) -> None:
        self.latest = Latest(self.reader, self._told)
        self.latest.start()

    @property
    def encoding(self) -> str:
        """How the editor counts columns."""
        return str(getattr(self.server.workspace.position_encoding, "value", None) or "utf-16")

    def put(self, uri: str, text: str, version: int) -> None:
        """A text that the editor opened or changed."""
        self.loop = asyncio.get_running_loop()
        if not is_spec(text):
            # Other YAML is none of ours; what was said while it was ours is taken back.
            if uri in self.latest.texts:
                self.drop(uri)
            return
        path = to_fs_path(uri)
        self.latest.put(uri, text, version, Path(path) if path else None, uri)

    def drop(self, uri: str) -> None:
        """A text that the editor closed."""
        self.latest.drop(uri)
        self.server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri=uri, diagnostics=[]))

    def again(self) -> None:
        """A file was saved, which the texts may refer to."""
        for uri, known in [*self.latest.texts.items()]:
            self.latest.put(uri, known.text, known.version, known.path, known.name)

    async def newest(self, uri: str) -> Text | None:
        """The text, once its newest version is read."""
        return await asyncio.to_thread(self.latest.wait, uri, PATIENCE)

    def _told(self, uri: str, version: int, reading: Reading) -> None:
        """Tell the problems of a text; called by the thread that reads."""
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._publish, uri, version, reading)

    def _publish(self, uri: str, version: int, reading: Reading) -> None:
        known = self.latest.texts.get(uri)
        if known is None or known.version != version:
            # A newer text is being read.
            return
        found = [self.shown(reading, one) for one in reading.problems]
        self.server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, found, version))

    def shown(self, reading: Reading, problem: Diagnostic) -> Shown:
        """A problem as the editor shows it."""
        severity = types.DiagnosticSeverity[problem.severity.capitalize()]
        where = self.range(telling.place(reading, problem))
        return Shown(where, telling.text(reading, problem), severity, problem.code, source="composer")

    def range(self, location: Location) -> types.Range:
        """A stretch of a line as the editor counts."""
        line, start, end = ends_of(location, self.encoding)
        return types.Range(types.Position(line, start), types.Position(line, end))

    def spot(self, text: str, position: types.Position) -> tuple[Spot, int] | None:
        """What stands at a position of a text, and the column, from 1."""
        source = Source("<text>", text)
        document = readable(source)
        line, column = source.position(index_of(source, position.line, position.character, self.encoding))
        found = spot(document, line, column) if document is not None else None
        return (found, column) if found is not None else None


def serve(reader: Reader, stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Answer an editor until it ends the session or is gone.

    reader  of its texts
    """
    # Its log would go to stderr, with tracebacks: what concerns people, the editor is told.
    logging.getLogger("pygls").addHandler(logging.NullHandler())
    logging.getLogger("pygls").propagate = False
    server = made(reader)
    server.start_io(stdin, stdout)


def made(reader: Reader) -> LanguageServer:
    """The server, with all that it answers."""
    server = LanguageServer("composer", __version__, text_document_sync_kind=types.TextDocumentSyncKind.Full)
    session = Session(server, Grammar.of_registry(), reader)
    _texts(server, session)
    _answers(server, session)
    _changes(server, session)
    return server


def _texts(server: LanguageServer, session: Session) -> None:
    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        options = params.initialization_options
        if isinstance(options, dict) and isinstance(options.get(BESIDE), bool):
            session.beside = options[BESIDE]

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    async def opened(params: types.DidOpenTextDocumentParams) -> None:
        session.put(params.text_document.uri, params.text_document.text, params.text_document.version)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    async def changed(params: types.DidChangeTextDocumentParams) -> None:
        uri = params.text_document.uri
        session.put(uri, server.workspace.get_text_document(uri).source, params.text_document.version)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    async def saved(params: types.DidSaveTextDocumentParams) -> None:
        session.again()

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    async def closed(params: types.DidCloseTextDocumentParams) -> None:
        session.drop(params.text_document.uri)


def _answers(server: LanguageServer, session: Session) -> None:
    @server.feature(types.TEXT_DOCUMENT_HOVER)
    @_quietly
    async def hover(params: types.HoverParams) -> types.Hover | None:
        known = session.latest.texts.get(params.text_document.uri)
        found = session.spot(known.text, params.position) if known is not None else None
        if known is None or known.best is None or found is None:
            return None
        text = Hover(known.best, session.grammar).at(found[0])
        where = session.range(found[0].location)
        return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text), where) if text else None

    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    @_quietly
    async def definition(params: types.DefinitionParams) -> list[types.Location]:
        uri = params.text_document.uri
        known = await session.newest(uri)
        found = session.spot(known.text, params.position) if known is not None else None
        if known is None or known.best is None or found is None:
            return []
        locations = Definition(known.best).at(*found)
        return [one for one in (_location(session, uri, known.best, place) for place in locations) if one]

    @server.feature(
        types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=[" ", ".", "/", "{", "$", ":"])
    )
    @_quietly
    async def completion(params: types.CompletionParams) -> list[types.CompletionItem]:
        document = server.workspace.get_text_document(params.text_document.uri)
        text = document.source
        known = session.latest.texts.get(params.text_document.uri)
        if known is None and not _may_become_spec(text, session.grammar):
            return []
        best = known.best if known is not None else None
        source = Source("<text>", text)
        index = index_of(source, params.position.line, params.position.character, session.encoding)
        beside = session.beside if session.beside is not None else names_schema(text)
        completer = Completer(best or Reading(source), session.grammar)
        found = completer.at(source, index, beyond_schema=beside)
        where = word_at(source, index)
        follows = text[source.index(where.line, where.end_column) :].lstrip(" ").startswith(":")
        return [
            types.CompletionItem(
                one.label,
                kind=types.CompletionItemKind.Property if one.is_key else types.CompletionItemKind.Value,
                detail=one.about or None,
                documentation=types.MarkupContent(types.MarkupKind.Markdown, one.more) if one.more else None,
                sort_text=f"{number:05}",
                text_edit=types.TextEdit(
                    session.range(where), f"{one.label}: " if one.is_key and not follows else one.label
                ),
            )
            for number, one in enumerate(found)
        ]

    @server.feature(types.TEXT_DOCUMENT_INLAY_HINT)
    @_quietly
    async def inlay_hints(params: types.InlayHintParams) -> list[types.InlayHint]:
        known = await session.newest(params.text_document.uri)
        document = readable(Source("<text>", known.text)) if known is not None else None
        if known is None or known.reading is None or document is None:
            return []
        found = []
        for one in inlays(document, known.reading, known.good):
            where = session.range(Location(document.source, one.line, one.column, one.column)).start
            if params.range.start.line <= where.line <= params.range.end.line:
                found.append(types.InlayHint(where, one.text, padding_left=True, tooltip=one.about or None))
        return found


def _changes(server: LanguageServer, session: Session) -> None:
    options = types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix])

    @server.feature(types.TEXT_DOCUMENT_CODE_ACTION, options)
    @_quietly
    async def code_actions(params: types.CodeActionParams) -> list[types.CodeAction]:
        uri = params.text_document.uri
        known = await session.newest(uri)
        if known is None or known.reading is None:
            return []
        reading = known.reading
        found = []
        for problem in reading.problems:
            shown = session.shown(reading, problem)
            if _meet(shown.range, params.range):
                fixed = await asyncio.to_thread(fixes, reading, problem, Reader(session.reader.root))
                found += [_action(session, uri, one, shown) for one in fixed]
        return found


def _action(session: Session, uri: str, fix: Fix, shown: Shown) -> types.CodeAction:
    edit = types.TextEdit(session.range(fix.location), fix.text)
    return types.CodeAction(
        fix.title,
        kind=types.CodeActionKind.QuickFix,
        diagnostics=[shown],
        is_preferred=True,
        edit=types.WorkspaceEdit(changes={uri: [edit]}),
    )


def _location(session: Session, uri: str, reading: Reading, place: Location) -> types.Location | None:
    if reading.is_here(place):
        return types.Location(uri, session.range(place))
    file = file_of(place)
    found = from_fs_path(str(file)) if file is not None else None
    if found is None:
        return None
    if place.source.text:
        return types.Location(found, session.range(place))
    start = types.Position(place.line - 1, 0)
    return types.Location(found, types.Range(start, start))


def _meet(one: types.Range, other: types.Range) -> bool:
    """Whether two stretches of a text touch."""
    ends = [(place.line, place.character) for place in (one.start, one.end, other.start, other.end)]
    return ends[0] <= ends[3] and ends[2] <= ends[1]


def _may_become_spec(text: str, grammar: Grammar) -> bool:
    """Whether a text that is no spec yet may become one: it has no key that specs do not have."""
    keys = grammar.keys((), {})
    heads = (line.partition(":")[0].strip() for line in text.splitlines() if line[:1].isalpha())
    return all(any(key.startswith(head) for key in keys) for head in heads)


def _quietly(
    answer: Callable[[Any], Awaitable[Answer]],
) -> Callable[[Any], Awaitable[Answer | None]]:
    """The answer to a request, wrapped: none where answering fails, so that an editor shows no dialogue of it."""

    @functools.wraps(answer)
    async def call(params: Any) -> Answer | None:
        try:
            return await answer(params)
        except Exception as error:
            logging.getLogger("composer.live").warning("no answer: %s: %s", type(error).__name__, error)
            return None

    return call
