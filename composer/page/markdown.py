"""A difference in Markdown, as code hosts show it: a Mermaid picture with the changes marked, and tables."""

from __future__ import annotations

from collections.abc import Iterator

from composer.amounts import thousands
from composer.dag.macs import growth
from composer.dag.sketch import Sketch
from composer.difference import Difference
from composer.difference.render import SIGNS, told
from composer.draw.marks import COLOURS, Marks
from composer.draw.mermaid import render_mermaid
from composer.draw.picture import Wish, draw
from composer.lines import markdown_table
from composer.spec.zoo import portable

# As the colours of a picture are called.
_WORDS = {"added": "green: added", "changed": "yellow: changed, or changed inside", "moved": "blue: moved"}


def markdown_difference(difference: Difference) -> str:
    """The text: a heading, a picture, a table of the changes and one of the totals; a line if nothing differs."""
    return "\n".join(_parts(difference)) + "\n"


def _parts(difference: Difference) -> Iterator[str]:
    yield f"### {_cell(_title(difference))}\n"
    if not difference:
        yield "They compute the same."
        return
    marks = Marks({one.after: one.kind for one in difference.changes if one.after is not None and one.kind in COLOURS})
    picture = draw(Sketch.of(difference.after), Wish(insets=False))
    yield f"```mermaid\n{render_mermaid(picture, marks)}```\n"
    seen = [word for kind, word in _WORDS.items() if kind in marks.kinds.values() or kind == "changed"]
    yield f"{'; '.join(seen)}.\n"
    rows = [
        [SIGNS[one.kind][0], one.nodes, one.operation, thousands(len(one.changes)), one.what, _signed(one.parameters)]
        for one in told(difference)
    ]
    heads = ("", "nodes", "operation", "×", "what", "parameters")
    yield markdown_table(
        heads, [list(map(_cell, row)) for row in rows], [head in ("×", "parameters") for head in heads]
    )
    yield ""
    totals = [
        [name, thousands(before), thousands(after), _signed(growth(after, before))]
        for name, before, after in difference.totals
    ]
    yield markdown_table(("", "before", "after", "change"), totals, [False, True, True, True])


def _title(difference: Difference) -> str:
    """The names of both networks; of one name, also the file that has it now."""
    before, after = difference.before.spec, difference.after.spec
    file = portable(after.origin.document.source.name)
    return f"{before.name} → {after.name}" if before.name != after.name else f"{after.name} ({file})"


def _signed(number: int | None) -> str:
    return "" if not number else thousands(number, signed=True)


def _cell(text: str) -> str:
    """Words that Markdown and HTML leave as they are."""
    return "".join(f"&#{ord(letter)};" if letter in "|`*_<>[]\\&#~" else letter for letter in text)
