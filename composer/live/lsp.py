"""The language server: composer's answers for an editor, by the protocol of language servers."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, BinaryIO, TypeVar

from lsprotocol import types
from lsprotocol.types import Diagnostic as Shown
from pygls.lsp.server import LanguageServer

from composer import __version__
from composer.errors import InputError, Location, Source
from composer.live.completion import Completer, word_at
from composer.live.cursor import readable
from composer.live.definition import Definition
from composer.live.fixes import Fix, fixes
from composer.live.grammar import Grammar
from composer.live.hover import Hover
from composer.live.inlays import inlays
from composer.live.reading import Reader, Reading, names_schema
from composer.live.session import Session, location_of
from composer.live.units import index_of

# The option with which an editor says whether yaml-language-server completes too.
BESIDE = "besideYamlLanguageServer"
# The command that opens the picture of a text, given its address, in the browser; its answer is the address there.
PREVIEW = "composer.preview"

Answer = TypeVar("Answer")


def serve(reader: Reader, stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Answer an editor until it ends the session or is gone.

    reader  of its texts
    """
    # Its log would go to stderr, with tracebacks: what concerns people, the editor is told.
    logging.getLogger("pygls").addHandler(logging.NullHandler())
    logging.getLogger("pygls").propagate = False
    server, session = made(reader)
    try:
        server.start_io(stdin, stdout)
    finally:
        session.close()


def made(reader: Reader) -> tuple[LanguageServer, Session]:
    """The server, with all that it answers, and its session."""
    server = LanguageServer("composer", __version__, text_document_sync_kind=types.TextDocumentSyncKind.Full)
    session = Session(server, Grammar.of_registry(), reader)
    _texts(server, session)
    _answers(server, session)
    _changes(server, session)
    _commands(server, session)
    return server, session


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
        session.saved(params.text_document.uri)

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
        return [one for one in (location_of(session, uri, known.best, place) for place in locations) if one]

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
                fixed = await asyncio.to_thread(fixes, reading, problem, replace(session.reader))
                found += [_action(session, uri, one, shown) for one in fixed]
        return found


def _commands(server: LanguageServer, session: Session) -> None:
    @server.command(PREVIEW)
    async def preview(uri: str) -> str | None:
        try:
            address = session.preview(uri)
        except InputError as error:
            server.window_show_message(types.ShowMessageParams(types.MessageType.Error, str(error)))
            return None
        session.show(address, None, external=True)
        return address


def _action(session: Session, uri: str, fix: Fix, shown: Shown) -> types.CodeAction:
    edit = types.TextEdit(session.range(fix.location), fix.text)
    return types.CodeAction(
        fix.title,
        kind=types.CodeActionKind.QuickFix,
        diagnostics=[shown],
        is_preferred=True,
        edit=types.WorkspaceEdit(changes={uri: [edit]}),
    )


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
