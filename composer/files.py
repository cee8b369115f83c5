"""Writes files completely or not at all, and replaces existing files only on request."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from composer.errors import Diagnostic, InputError
from composer.paths import PATH_ERRORS, reason

# A file is written beside its target under a hidden name with this ending.
_ENDING = ".part"
# A hidden file that was not changed for an hour (in seconds) was left by a killed process.
_LEFT_AFTER = 3600.0


@contextlib.contextmanager
def staged(targets: Sequence[Path], *, force: bool = False) -> Iterator[list[Path]]:
    """Paths to write in place of the targets, in their order; they replace the targets when all are written.

    targets  folders are made if they do not exist
    force    replace existing files

    The last target is replaced last, so that a reader who finds it also finds the others. If the body or a move fails,
    or a signal ends it, everything is restored as it was. Raises InputError if a target exists and must not be
    replaced, or if its folder cannot be written.
    """
    for target in targets:
        check_target(target, force=force)
    try:
        made = [folder for target in targets for folder in _make_folder(target.parent)]
    except PATH_ERRORS as error:
        raise _unwritable(targets[0], error) from error
    temporary: list[Path] = []
    done = False
    try:
        for target in targets:
            _sweep(target)
            temporary.append(_beside(target))
        yield temporary
        _place(list(zip(temporary, targets, strict=True)), force)
        done = True
    except OSError as error:
        raise _unwritable(targets[0], error) from error
    finally:
        for source in temporary:
            source.unlink(missing_ok=True)
        if not done:
            for folder in reversed(made):
                # Another process may have put a file there meanwhile.
                with contextlib.suppress(OSError):
                    folder.rmdir()


def write_text(target: Path, text: str, *, force: bool = False) -> None:
    """Write a text file, completely or not at all. Raises InputError."""
    with staged([target], force=force) as (path,):
        path.write_text(text, encoding="utf-8")


def check_target(target: Path, *, force: bool = False) -> None:
    """Raises InputError if the target must not be replaced, for use before slow work.

    Refused are an existing file, unless `force`; and always anything but a regular file: a folder, a link, a device, a
    pipe.
    """
    try:
        mode = target.lstat().st_mode
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        file = next(one for one in target.parents if one.exists())
        help = ("name a folder; it is made if it does not exist",)
        raise InputError(Diagnostic("output", f"`{file}` is a file", label="a folder", help=help)) from error
    except PATH_ERRORS as error:
        raise _unwritable(target, error) from error
    if stat.S_ISDIR(mode):
        raise InputError(Diagnostic("output", f"`{target}` is a folder", label="the name of a file"))
    if stat.S_ISLNK(mode):
        help = (f"name the file itself, `{os.path.realpath(target)}`, or remove the link",)
        raise InputError(Diagnostic("output", f"`{target}` is a link", label="the name of a file", help=help))
    if not stat.S_ISREG(mode):
        help = ("`-o -` writes to stdout",)
        raise InputError(Diagnostic("output", f"`{target}` is not a regular file", label="a file", help=help))
    if not force:
        help = ("choose another name, or replace it with --force",)
        raise InputError(Diagnostic("output-exists", f"`{target}` exists", label="a file that does not", help=help))


def _make_folder(folder: Path) -> list[Path]:
    """Make a folder and its parents; return the folders that were missing, outermost first."""
    absent = [one for one in (folder, *folder.parents) if not one.exists()][::-1]
    folder.mkdir(parents=True, exist_ok=True)
    return absent


def _beside(target: Path) -> Path:
    """A new file in the target's folder, from where it can be moved in one step."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=_prefix(target), suffix=_ENDING)
    os.close(handle)
    return Path(name)


def _prefix(target: Path) -> str:
    # The target's own name may have the maximum length.
    return f".{target.name[:40]}."


def _sweep(target: Path) -> None:
    """Remove files that killed processes left for this target."""
    for left in target.parent.glob(f"{glob.escape(_prefix(target))}*{_ENDING}"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT_AFTER:
                left.unlink()


def _place(moves: Sequence[tuple[Path, Path]], force: bool) -> None:
    """Move each source to its target, in order: all or none."""
    replaced: dict[Path, Path] = {}
    try:
        for source, target in moves:
            if force and target.exists():
                replaced[target] = _kept(target)
            _move(source, target, force)
    except BaseException:
        for source, target in reversed(moves):
            if target in replaced:
                replaced[target].replace(target)
            elif _moved(source, target):
                target.unlink()
        raise
    finally:
        for kept in replaced.values():
            kept.unlink(missing_ok=True)


def _kept(target: Path) -> Path:
    """A second name for the current content of a target."""
    kept = _beside(target)
    kept.unlink()
    try:
        os.link(target, kept)
    except OSError:
        # A file system without hard links.
        shutil.copy2(target, kept)
    return kept


def _moved(source: Path, target: Path) -> bool:
    """Whether the source was moved: the target is another name of the same file, or the source is gone."""
    return not source.exists() or (target.exists() and source.samefile(target))


def _move(source: Path, target: Path, force: bool) -> None:
    # mkstemp makes files private; the user's file gets the usual mode.
    mask = os.umask(0)
    os.umask(mask)
    source.chmod(0o666 & ~mask)
    if force:
        source.replace(target)
        return
    try:
        # This fails if another process made the target since the check.
        os.link(source, target)
    except FileExistsError:
        check_target(target, force=force)
        raise
    except OSError:
        # A file system without hard links.
        shutil.move(source, target)


def _unwritable(target: Path, error: BaseException) -> InputError:
    return InputError(Diagnostic("output", f"cannot write `{target}`: {reason(error)}"))
