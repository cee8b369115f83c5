"""What code that is not ours may do: raise anything at all, exit, fail while it says why."""

from __future__ import annotations

from composer.errors import Location, Source


class Interrupt(BaseException):
    """The process is asked to end. No code on the way takes it for an error."""


def is_error(error: BaseException) -> bool:
    """Whether an exception is something that went wrong, `sys.exit()` included, and not a person who stops us."""
    return not isinstance(error, KeyboardInterrupt | Interrupt)


def said(error: BaseException) -> str:
    """The text of an exception; empty where it has none, or fails to make it.

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
    """An exception by its type and its text.

    >>> named(SystemExit(0)), named(KeyError())
    ('SystemExit: 0', 'KeyError')
    """
    return f"{type(error).__name__}: {said(error)}".removesuffix(": ")


def frames(error: BaseException) -> list[tuple[Location, str]]:
    """Where an exception came through, outermost first: places in files, and the function of each as `Class.method`."""
    found, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append((Location(Source(code.co_filename), trace.tb_lineno, 1, 2), code.co_qualname))
        trace = trace.tb_next
    return found
