"""The texts of an editor, and what it is told of them."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass, field
from pathlib import Path

from lsprotocol import types
from lsprotocol.types import Diagnostic as Shown
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path, to_fs_path

from composer.errors import Diagnostic, InputError, Location, Source
from composer.live import telling
from composer.live.cursor import Spot, readable, spot
from composer.live.definition import file_of
from composer.live.grammar import Grammar
from composer.live.latest import Latest, Text
from composer.live.preview import Preview
from composer.live.reading import Reader, Reading, is_spec
from composer.live.state import State
from composer.live.units import ends_of, index_of

# Seconds for which an answer waits until the newest text is read: the first one may wait for torch.
PATIENCE = 60.0


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
    previews: dict[str, Preview] = field(default_factory=dict)
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
        if (preview := self.previews.get(uri)) is not None:
            preview.state.say("the editor closed the text; what is shown is the last of it")
        self.server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri=uri, diagnostics=[]))

    def again(self) -> None:
        """A file was saved, which the texts may refer to."""
        for uri, known in [*self.latest.texts.items()]:
            self.latest.put(uri, known.text, known.version, known.path, known.name)

    def saved(self, uri: str) -> None:
        """A text was saved: changes are told since then."""
        if (preview := self.previews.get(uri)) is not None:
            preview.state.keep()
        self.again()

    def preview(self, uri: str) -> str:
        """The address of the preview of a text. Raises InputError if there is no such text, or no port is free."""
        known = self.latest.texts.get(uri)
        if known is None:
            text = "a preview is of a spec that is open in the editor"
            raise InputError(Diagnostic("source", text, label="a text with `backbone`, `nodes` or `attention`"))
        if uri not in self.previews:
            made = Preview(State(known.path.name if known.path else "spec"), functools.partial(self._go_to, uri))
            made.start()
            self.previews[uri] = made
        state = self.previews[uri].state
        if known.good is not None:
            state.show(known.good)
        if known.reading is not None and known.reading is not known.good:
            state.show(known.reading)
        state.keep()
        return self.previews[uri].address

    def close(self) -> None:
        """The session is over."""
        self.latest.close()
        for preview in self.previews.values():
            preview.close()

    def _go_to(self, uri: str, location: Location) -> None:
        """Show a place in the editor; called by a thread of the preview."""
        known = self.latest.texts.get(uri)
        if known is not None and known.reading is not None and self.loop is not None:
            found = location_of(self, uri, known.reading, location)
            if found is not None:
                self.loop.call_soon_threadsafe(self.show, found.uri, found.range)

    def show(self, uri: str, where: types.Range | None, external: bool = False) -> None:
        """Ask the editor to show a file, or with `external` an address in the browser; nothing if it cannot."""
        window = self.server.client_capabilities.window
        if window is not None and window.show_document is not None and window.show_document.support:
            asked = types.ShowDocumentParams(uri, external=external, take_focus=not external, selection=where)
            self.server.window_show_document(asked)

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
        if uri in self.previews and reading.composed:
            self.previews[uri].state.show(reading)
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


def location_of(session: Session, uri: str, reading: Reading, place: Location) -> types.Location | None:
    """A place as the editor has it: in the text itself, or in a file; None if its source is no file."""
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
