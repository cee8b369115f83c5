"""What an insertion did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from composer.amounts import plural
from composer.errors import one_of


@dataclass(frozen=True)
class Report:
    """What `insert` did to a model.

    places      paths of the mechanisms that it put in, in the order in which they run
    keys        new names in the state_dict
    removed     names that the state_dict had before and has no more
    parameters  how many more learnable numbers the model has
    notes       what to know before the model is converted, or run by another method
    """

    places: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    parameters: int = 0
    notes: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        where = f": {one_of(self.places, 4)}" if self.places else ""
        new = f"{plural(len(self.places), 'place')}, {plural(len(self.keys), 'new key')}"
        change = f"{self.parameters:+,} parameters"
        if self.places or self.keys or not self.removed:
            yield f"{new}, {change}{where}"
            change = ""
        if self.removed:
            gone = f"{plural(len(self.removed), 'key')} removed"
            yield f"{', '.join(filter(None, (gone, change)))}: {one_of(self.removed, 4)}"
        yield from self.notes
