"""A file that is read again whenever it, or a file that it refers to, changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from composer.errors import SpecError
from composer.live.reading import Reader, Reading
from composer.paths import PATH_ERRORS
from composer.spec.yaml import MAX_BYTES, decode

# What tells a file from another version of it: when it was changed, its size, and which file it is.
Mark = tuple[int, int, int] | None


@dataclass
class Watched:
    """A file, and what is known of it.

    reading  the last one; `is_gone` if the file is not there now
    """

    path: Path
    reader: Reader
    reading: Reading | None = None
    is_gone: bool = False
    _misses: int = 0
    _marks: dict[Path, Mark] = field(default_factory=dict)

    def look(self) -> bool:
        """Look at the files, and read anew if one of them is another; whether it is, or the file went or came back."""
        marks = {path: _mark(path) for path in self._files()}
        if marks == self._marks:
            return False
        text = None if marks[self.path] is None else self._text()
        if text is None:
            # Many editors take a file away and put a new one in its place: only the second look counts.
            self._misses += 1
            was_gone, self.is_gone = self.is_gone, self._misses > 1
            return self.is_gone and not was_gone
        self._marks, self._misses, self.is_gone = marks, 0, False
        self.reading = text if isinstance(text, Reading) else self._read(text)
        # It may refer to other files now.
        self._marks = {path: marks.get(path, _mark(path)) for path in self._files()}
        return True

    def _read(self, text: str) -> Reading:
        return self.reader.compose(self.reader.read(text, self.path))

    def _text(self) -> str | Reading | None:
        """The text of the file; a reading that says why it has none; None if the file has just gone."""
        try:
            if not os.path.isfile(self.path):
                return None
            with self.path.open("rb") as stream:
                return decode(stream.read(MAX_BYTES + 1), str(self.path)).text
        except SpecError as error:
            empty = self.reader.read("", self.path)
            return replace(empty, problems=error.diagnostics, composed=True)
        except PATH_ERRORS:
            return None

    def _files(self) -> Iterator[Path]:
        """The file, and those that its last reading refers to."""
        yield self.path
        spec = self.reading.spec if self.reading is not None else None
        for file in spec.every_file if spec is not None else ():
            if file.path is not None and file.path != self.path:
                yield file.path


def _mark(path: Path) -> Mark:
    try:
        found = os.stat(path)
    except PATH_ERRORS:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
