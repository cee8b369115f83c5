"""Keeps converters and runtimes from printing: they do so from Python, from logs, and from native code."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Within it nothing is printed: no warnings and logs, and nothing that native code writes to the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            _descriptors(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def _descriptors() -> Iterator[None]:
    """Sends what is written to the process's output and error files to nowhere."""
    with contextlib.ExitStack() as stack:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        stack.callback(os.close, nowhere)
        for number, stream in ((1, sys.__stdout__), (2, sys.__stderr__)):
            with contextlib.suppress(OSError, ValueError):
                if stream is not None:
                    # What waits in Python's buffer is not lost.
                    stream.flush()
                kept = os.dup(number)
                stack.callback(_restore, kept, number)
                os.dup2(nowhere, number)
        yield


def _restore(kept: int, number: int) -> None:
    os.dup2(kept, number)
    os.close(kept)
