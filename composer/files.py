"""Files that appear whole or not at all, and never instead of another unless asked."""

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

# Files that are being written have hidden names with this ending, beside their targets.
_ENDING = ".part"
# Such a file that nobody has touched for an hour was left by a process that was killed.
_LEFT_AFTER = 3600.0


@contextlib.contextmanager
def staged(targets: Sequence[Path], *, force: bool = False) -> Iterator[list[Path]]:
    """Paths to write instead of the targets, in their order; they take the targets' places when all are written.

    The last target takes its place last, so that whoever finds it finds the others. Folders of the targets are made.
    When the body or a move fails, or a signal ends it, nothing of it remains, and what was there is there again.
    Raises InputError where a target exists and may not be replaced, or its folder cannot be written.
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
                # Someone else may have put a file there meanwhile.
                with contextlib.suppress(OSError):
                    folder.rmdir()


def write_text(target: Path, text: str, *, force: bool = False) -> None:
    """Write one text file, whole. Raises InputError."""
    with staged([target], force=force) as (path,):
        path.write_text(text, encoding="utf-8")


def check_target(target: Path, *, force: bool = False) -> None:
    """Raises InputError for what may not be replaced, before work that would be lost.

    That is a file, unless `force`; and in any case what is no regular file: a folder, a link, a device, a pipe.
    """
    try:
        mode = target.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
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
    """Make a folder and those it stands in; returns the ones that were missing, outermost first."""
    absent = [one for one in (folder, *folder.parents) if not one.exists()][::-1]
    folder.mkdir(parents=True, exist_ok=True)
    return absent


def _beside(target: Path) -> Path:
    """A new file in the target's folder, so that it can be moved there at once."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=_prefix(target), suffix=_ENDING)
    os.close(handle)
    return Path(name)


def _prefix(target: Path) -> str:
    # The target's own name may be as long as a name can be.
    return f".{target.name[:40]}."


def _sweep(target: Path) -> None:
    """Remove what killed processes have left of this target."""
    for left in target.parent.glob(f"{glob.escape(_prefix(target))}*{_ENDING}"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT_AFTER:
                left.unlink()


def _place(moves: Sequence[tuple[Path, Path]], force: bool) -> None:
    """Move each source to its target, in order: all of them, or none."""
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
    """A second name of what a target holds now."""
    kept = _beside(target)
    kept.unlink()
    try:
        os.link(target, kept)
    except OSError:
        # A file system without hard links.
        shutil.copy2(target, kept)
    return kept


def _moved(source: Path, target: Path) -> bool:
    """Whether the target is what the source was: another name of it, or the only one left."""
    return not source.exists() or (target.exists() and source.samefile(target))


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


def _unwritable(target: Path, error: BaseException) -> InputError:
    return InputError(Diagnostic("output", f"cannot write `{target}`: {reason(error)}"))
