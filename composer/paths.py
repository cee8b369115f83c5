"""Checks paths that users give, and explains why a path cannot be read."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

# Causes: a path contains a NUL, is too long, or its links form a cycle.
PATH_ERRORS = (OSError, ValueError, RuntimeError)
MISSING = "does not exist"


def obstacle(path: Path | str) -> str:
    """Why a path cannot be read as a file, such as `does not exist`; empty for a readable regular file.

    A pipe or a device is refused: reading it may block, or never end.

    >>> obstacle("/dev/null"), obstacle("x" * 300)
    ('is not a regular file', 'cannot be read: File name too long')
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except PATH_ERRORS as error:
        return f"cannot be read: {reason(error)}"
    if stat.S_ISDIR(mode):
        return "is a folder"
    if not stat.S_ISREG(mode):
        return "is not a regular file"
    return "" if os.access(path, os.R_OK) else "cannot be read: Permission denied"


def is_folder(path: Path | str) -> bool:
    """Whether a path is a folder; False also for a text that cannot be a path."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except PATH_ERRORS:
        return False


def sha256(path: Path | str) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises OSError."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def reason(error: BaseException) -> str:
    """The reason of an error in a few words, without the path, which the caller names."""
    return getattr(error, "strerror", None) or next(iter(str(error).splitlines()), "") or type(error).__name__


def stem_of(name: str) -> str:
    """The name of a network as the beginning of a file's name.

    >>> stem_of("papers/se: 50"), stem_of("..")
    ('papers_se__50', 'network')
    """
    stem = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name).lstrip(".")
    return stem or "network"
