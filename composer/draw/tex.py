"""Words as TeX prints them: whatever a name holds is no command."""

from __future__ import annotations

from composer.visible import visible

_COMMANDS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",
    "`": r"\textasciigrave{}",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "→": r"$\rightarrow$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "–": r"--",
    "—": r"---",
    "…": r"\ldots{}",
    # Two of these in a row would become another character.
    "-": r"-{}",
    ",": r",{}",
    "'": r"'{}",
}


def words(text: str, *, spaces: bool = False) -> str:
    """Text as TeX; `spaces` keeps several spaces in a row."""
    return "".join(_letter(letter, spaces=spaces) for letter in visible(text))


def comment(text: str) -> str:
    """Text for a comment: one line, of plain letters."""
    return "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in text)


def _letter(letter: str, *, spaces: bool) -> str:
    if letter in _COMMANDS:
        return _COMMANDS[letter]
    if letter == " ":
        return "\\ " if spaces else " "
    # pdfTeX's usual fonts end here; other engines print it if their font has it.
    return letter if letter.isascii() else f"\\cgchar{{{ord(letter):04X}}}{{{ord(letter)}}}"
