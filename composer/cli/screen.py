"""Prints text on stdout and stderr, visible and complete on any terminal, pipe and code page.

Verbs print only through this file. Data goes to stdout; failing to write data is an error. Messages go to stderr, and
are dropped if stderr is closed.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import functools
import io
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, BinaryIO, ParamSpec, TextIO, TypeVar

from rich.console import Console
from rich.text import Text

from composer.errors import Diagnostic, InputError
from composer.lines import Line, Part, plain
from composer.visible import visible, visible_lines

# Replacements for code pages without these letters; any other letter becomes its number, as in \u03b8.
_SPELT = {
    **{"×": "x", "·": "*", "−": "-", "–": "-", "─": "-", "│": "|", "├": "|", "└": "`", "…": "...", "±": "+-"},
    **{"≤": "<=", "≥": ">=", "²": "^2", "³": "^3", "⁻": "^-", "⁺": "^+", "ᵀ": "^T", "¹": "^1", "µ": "u"},
    **{"γ": "gamma", "θ": "theta", "σ": "sigma", "τ": "tau", "\N{REPLACEMENT CHARACTER}": "?"},
}
_NO_WIDTH = 80

P = ParamSpec("P")
T = TypeVar("T")


class _Closed(io.TextIOBase):
    """Replaces a stdout that was closed before Python started, for which Python has no stream."""

    @property
    def buffer(self) -> _Closed:
        return self

    def write(self, data: object) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def fileno(self) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(_SPELT.get(one) or one.encode("ascii", "backslashreplace").decode() for one in letters), error.end


# The stream for data while other code prints to stderr.
_kept: TextIO | None = None


def _stdout() -> TextIO:
    return sys.stdout if _kept is None else _kept


def alone(function: Callable[P, T]) -> Callable[P, T]:
    """The function, wrapped: only our data goes to stdout; the output of other code goes to stderr."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        global _kept
        before, _kept = _kept, _stdout()
        try:
            with contextlib.redirect_stdout(sys.stderr):
                return function(*args, **kwargs)
        finally:
            _kept = before

    return call


codecs.register_error("composer.spelt", _spell)


def prepare() -> None:
    """Make both streams usable: any letter can be printed, and a missing stream is replaced."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The next opened file would get this number, and C code would print into it.
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, for the rest of the process
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="composer.spelt")


def out(text: str = "", end: str = "\n") -> None:
    """Print data as text on stdout. Raises InputError if writing fails, BrokenPipeError if the reader left."""
    _write(visible_lines(text) + end)


def out_bytes(content: bytes) -> None:
    """Write data as bytes to stdout. Raises as `out`."""
    flush()
    with _told():
        _stdout().buffer.write(content)
        _stdout().buffer.flush()


def raw() -> BinaryIO:
    """Stdout itself, for a protocol: whoever writes to it writes all of it."""
    return _stdout().buffer


def print_lines(lines: Iterable[Line]) -> None:
    """Print whole lines on stdout: styled on a terminal, plain in a pipe."""
    _write(_drawn(lines, _stdout()))


def print_json(value: Any) -> None:
    """Print data as JSON on stdout; letters that stdout cannot show are escaped, and what is no number is null."""
    unicode = (_stdout().encoding or "").lower().startswith("utf")
    text = json.dumps(_numbers(value), indent=2, ensure_ascii=not unicode, allow_nan=False)
    _write("\n".join(map(_escaped, text.split("\n"))) + "\n")


def _numbers(value: Any) -> Any:
    """The value with null in place of nan and infinity, which JSON has no words for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _numbers(one) for key, one in value.items()}
    return [_numbers(one) for one in value] if isinstance(value, list | tuple) else value


def words(text: str) -> None:
    """Print a message on stderr."""
    _say(visible_lines(text) + "\n")


def word_lines(lines: Iterable[Line]) -> None:
    """Print lines on stderr, styled on a terminal."""
    _say(_drawn(lines, sys.stderr))


def _drawn(lines: Iterable[Line], stream: IO[str]) -> str:
    """The lines as text, with style codes only for a terminal."""
    shown = [[Part(visible(text), style) for text, style in line] for line in lines]
    if not is_terminal(stream):
        return plain(shown) + "\n"
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, highlight=False)
    for line in shown:
        console.print(Text.assemble(*line), soft_wrap=True)
    return file.getvalue()


def flush() -> None:
    """Flush stdout. Raises InputError if writing fails, BrokenPipeError if the reader left.

    After an InputError stdout is silent, because Python would try again at exit, and complain.
    """
    with _told():
        _stdout().flush()


def silence() -> None:
    """Write nothing more to stdout."""
    _silence(_stdout())


def is_terminal(stream: IO[str] | None = None) -> bool:
    """Whether a stream (default: stdout) is a terminal; FORCE_COLOR makes a pipe count as one."""
    return Console(file=stream or _stdout()).is_terminal


def columns() -> int | None:
    """The number of columns of the terminal that stdout goes to; None without a terminal."""
    if not is_terminal():
        return None
    if (written := os.environ.get("COLUMNS", "")).isdecimal() and int(written):
        return int(written)
    try:
        return os.get_terminal_size(_stdout().fileno()).columns or _NO_WIDTH
    except OSError:
        return _NO_WIDTH


def draws(letters: str) -> bool:
    """Whether stdout can show these letters."""
    try:
        letters.encode(_stdout().encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _write(text: str) -> None:
    with _told():
        _stdout().write(text)


def _say(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _silence(sys.stderr)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        silence()
        reason = error.strerror or str(error)
        raise InputError(Diagnostic("stdout", f"cannot write to stdout: {reason}")) from error


def _silence(stream: IO[str]) -> None:
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _escaped(line: str) -> str:
    """A line of JSON, with an escape for each character that does not print."""
    if line.isprintable():
        return line
    return "".join(one if one.isprintable() else _number(one) for one in line)


def _number(letter: str) -> str:
    return f"\\u{ord(letter):04x}" if letter.isascii() else json.dumps(letter)[1:-1]
