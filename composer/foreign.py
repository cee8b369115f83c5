"""Handles exceptions of foreign code, which may raise anything, exit, or fail while making its message."""

from __future__ import annotations

from composer.errors import Location, Source


class Interrupt(BaseException):
    """The process must end. `except Exception` does not catch it."""


def is_error(error: BaseException) -> bool:
    """Whether an exception is an error, also `sys.exit()`; False for KeyboardInterrupt and Interrupt."""
    return not isinstance(error, KeyboardInterrupt | Interrupt)


def said(error: BaseException) -> str:
    """The text of an exception; empty if it has no text or fails to make it.

    >>> said(ValueError("too small"))
    'too small'
    """
    try:
        return str(error)
    except BaseException as worse:
        if not is_error(worse):
            raise
        return ""


def named(error: BaseException) -> str:
    """The type and the text of an exception.

    >>> named(SystemExit(0)), named(KeyError())
    ('SystemExit: 0', 'KeyError')
    """
    return f"{type(error).__name__}: {said(error)}".removesuffix(": ")


def frames(error: BaseException) -> list[tuple[Location, str]]:
    """The traceback of an exception, outermost frame first: location, and function as `Class.method`."""
    found, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append((Location(Source(code.co_filename), trace.tb_lineno, 1, 2), code.co_qualname))
        trace = trace.tb_next
    return found
