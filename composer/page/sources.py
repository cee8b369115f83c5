"""The YAML files of a network, and the lines where its nodes and rules are written."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from composer.errors import Diagnostic, Location, Source
from composer.page.schema import FileData, Line
from composer.spec import zoo
from composer.spec.document import Value
from composer.spec.origin import Origin
from composer.spec.spec import Spec


@dataclass
class Files:
    """Texts of specs by number. `spans`: file and first line of a value -> its last line, if it has several lines."""

    sources: list[Source] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    spans: dict[Line, int] = field(default_factory=dict)
    known: dict[tuple[int, tuple[str | int, ...]], Line | None] = field(default_factory=dict)

    @classmethod
    def of_spec(cls, *specs: Spec) -> Files:
        """The files of the specs, each once, from the requested file to the file with the nodes."""
        found = cls()
        for spec in specs:
            for file in spec.every_file:
                found.add(file.origin.document.source, file.root)
        return found

    @classmethod
    def of_problems(cls, problems: Iterable[Diagnostic]) -> Files:
        """The files that contain the problems."""
        found = cls()
        for problem in problems:
            if problem.location is not None:
                found.add(problem.location.source)
        return found

    def add(self, source: Source, root: Path | None = None) -> None:
        """Add a text, unless it is empty (a mapping from Python) or already known."""
        if source.text and source not in self.sources:
            self.sources.append(source)
            self.names.append(_name(source, root))

    def line_at(self, location: Location | None) -> Line | None:
        """The file and line of a location; None if it is in none of the files."""
        if location is None or location.source not in self.sources:
            return None
        return self.sources.index(location.source), location.line

    def line_of(self, origin: Origin) -> Line | None:
        """The file and line of the key of a value; None if it is in none of the files."""
        key = (id(origin.document), origin.path)
        if key not in self.known:
            self.known[key] = found = self.line_at(origin.location(key=True))
            if found is not None:
                last = _last_line(origin.document.nearest(origin.path))
                if last > found[1]:
                    self.spans[found] = last
        return self.known[key]

    def to_json(self) -> list[FileData]:
        """Name, text and spans of each file."""
        return [
            {
                "name": name,
                "text": source.text,
                "spans": {str(line): last for (file, line), last in self.spans.items() if file == index},
            }
            for index, (source, name) in enumerate(zip(self.sources, self.names, strict=True))
        ]


def _name(source: Source, root: Path | None) -> str:
    """A file's name without the folders above the spec's own tree, which are private."""
    name = zoo.portable(os.path.abspath(source.name))
    if not os.path.isabs(name):
        return name
    path = Path(name)
    return path.relative_to(root).as_posix() if root is not None and path.is_relative_to(root) else path.name


def _last_line(value: Value) -> int:
    children = value.data.values() if isinstance(value.data, dict) else value.data
    last = max(map(_last_line, children), default=0) if isinstance(value.data, dict | list) else 0
    return max(last, value.location.line if value.location is not None else 0)
