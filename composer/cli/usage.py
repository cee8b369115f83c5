"""What is wrong with the words of a command, in ours: the parser's own are those of pydantic."""

from __future__ import annotations

import re

from composer.errors import one_of, suggest

_CHOICE = re.compile(r"(?:Value error, )?'(.*)' is not one of (.+?)\.?$", re.DOTALL)
_PLAIN = {
    "Input should be a valid integer, unable to parse string as an integer": "expected a whole number",
    "Input should be a valid number, unable to parse string as a number": "expected a number",
    "Input should be greater than": "expected a number above",
    "Input should be less than": "expected a number below",
    "or equal to": "or",
    "Value error, ": "",
}


def reworded(text: str) -> str:
    """The message of a wrong argument or option.

    >>> reworded("Invalid value for 'what': Value error, 'layer' is not one of 'mechanisms', 'layers'.")
    "Invalid value for 'what': `layer` is not one of `mechanisms`, `layers`; did you mean `layers`?"
    """
    where, _, what = text.partition(": ")
    if found := _CHOICE.match(what):
        known = re.findall(r"'([^']*)'", found[2])
        near = suggest(found[1], known)
        return f"{where}: `{found[1]}` is not one of {one_of(known, 24)}{f'; did you mean `{near}`?' if near else ''}"
    for raw, plain in _PLAIN.items():
        text = text.replace(raw, plain)
    return text
