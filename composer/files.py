"""Files that appear whole or not at all, and never instead of another unless asked."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from composer.errors import Diagnostic, InputError


@contextlib.contextmanager
def staged(targets: Sequence[Path], *, force: bool = False) -> Iterator[list[Path]]:
    """Paths to write instead of the targets, in their order; they take the targets' places when all are written.

    Folders of the targets are made. When the body fails, nothing of it remains.
    Raises InputError where a target exists and may not be replaced, or its folder cannot be written.
    """
    for target in targets:
        check_target(target, force=force)
    try:
        made = [folder for target in targets for folder in _make_folder(target.parent)]
    except OSError as error:
        raise _unwritable(targets[0], error) from error
    temporary: list[Path] = []
    done = False
    try:
        for target in targets:
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            os.close(handle)
            temporary.append(Path(name))
        yield temporary
        for source, target in zip(temporary, targets, strict=True):
            _move(source, target, force)
        done = True
    except OSError as error:
        raise _unwritable(targets[0], error) from error
    finally:
        for source in temporary:
            source.unlink(missing_ok=True)
        if not done:
            for folder in reversed(made):
                # Someone else may have put a file there meanwhile.
                with contextlib.suppress(OSError):
                    folder.rmdir()


def write_text(target: Path, text: str, *, force: bool = False) -> None:
    """Write one text file, whole. Raises InputError."""
    with staged([target], force=force) as (path,):
        path.write_text(text, encoding="utf-8")


def check_target(target: Path, *, force: bool = False) -> None:
    """Raises InputError for a folder, or a file that exists and may not be replaced: before work that would be lost."""
    if target.is_dir():
        raise InputError(Diagnostic("output", f"`{target}` is a folder", label="the name of a file"))
    if target.exists() and not force:
        help = ("choose another name, or replace it with --force",)
        raise InputError(Diagnostic("output-exists", f"`{target}` exists", label="a file that does not", help=help))


def _make_folder(folder: Path) -> list[Path]:
    """Make a folder and those it stands in; returns the ones that were missing, outermost first."""
    absent = [one for one in (folder, *folder.parents) if not one.exists()][::-1]
    folder.mkdir(parents=True, exist_ok=True)
    return absent


def _move(source: Path, target: Path, force: bool) -> None:
    # mkstemp makes files private; a file that people asked for has the usual mode.
    mask = os.umask(0)
    os.umask(mask)
    source.chmod(0o666 & ~mask)
    if force:
        source.replace(target)
        return
    try:
        # Fails where another process made the target since it was checked.
        os.link(source, target)
    except FileExistsError:
        check_target(target, force=force)
        raise
    except OSError:
        # A file system without hard links.
        shutil.move(source, target)


def _unwritable(target: Path, error: OSError) -> InputError:
    return InputError(Diagnostic("output", f"cannot write `{target}`: {error.strerror or error}"))
