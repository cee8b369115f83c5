"""Data to train on by its name: the form of the name says what kind of source it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

from composer.errors import Diagnostic, InputError, did_you_mean, one_of
from composer.paths import MISSING, is_folder, obstacle
from composer.training.data.arrays import find_arrays
from composer.training.data.assemble import Found, Wishes, assemble
from composer.training.data.data import Data, Task
from composer.training.data.digits import find_digits
from composer.training.data.folder import find_folder
from composer.training.data.hub import find_hub
from composer.training.data.idx import find_idx
from composer.training.data.named import find_named
from composer.training.data.pairs import find_pairs, holds_pairs
from composer.training.data.table import find_table
from composer.training.data.tars import find_tars, is_tars

_FORMS = "digits, a folder, FILE.csv, FILE.npz, FILE.tar, hf:NAME, torchvision:NAME or idx:FOLDER"


def open_data(
    source: str,
    *,
    task: Task | None = None,
    seed: int = 0,
    validation: float = 0.15,
    test: float = 0.15,
    strict: bool = False,
    download: bool = False,
    tell: Callable[[str], None] = lambda text: None,
) -> Data:
    """Images and targets, in splits for training, validation and test.

    source      `digits`, a folder, `FILE.csv`, `FILE.npz`, tars, `hf:NAME[:CONFIG]`, `torchvision:NAME`, `idx:FOLDER`
    task        what is learnt, where the source may mean more than one; None: what it looks like
    seed        of the split, where the source makes none
    validation  share of the images that is taken for validation, where the source has none
    test        likewise for the test; 0: the validation images are tested on
    strict      an image that cannot be read is an error; otherwise it is left out, and said
    download    fetch a data set of a hub that is not on this machine
    tell        is called with the progress, a line of text

    Raises InputError for data that is not there, cannot be read, or from which nothing can be learnt, and
    UnavailableError if a package is missing.
    """
    _check(task, validation, test)
    wishes = Wishes(seed, validation, test, strict, download, tell)
    found = _find(source, task, wishes)
    if task not in (None, found.targets.task):
        text = f"`{source}` has targets for the task {found.targets.task}, and the task is {task}"
        help = ("leave the task away, or write a CSV with the targets of the images",)
        raise InputError(Diagnostic("data-target", text, label=f"task {found.targets.task}", help=help))
    return assemble(source, found, wishes)


def _find(source: str, task: Task | None, wishes: Wishes) -> Found:
    kind, _, name = source.partition(":")
    if source == "digits":
        return find_digits()
    if kind == "hf" and name:
        return find_hub(name, task, wishes)
    if kind == "torchvision" and name:
        return find_named(name, wishes)
    if kind == "idx" and name:
        return find_idx(Path(name))
    if not source.strip():
        raise InputError(Diagnostic("data", "no data is named", label=_FORMS))
    if is_tars(source):
        return find_tars(source, task, wishes.tell)
    path = Path(source)
    if is_folder(path):
        return find_pairs(path, wishes.tell) if holds_pairs(path) else find_folder(path)
    if problem := obstacle(path):
        text = f"there is no data `{source}`" if problem == MISSING else f"the data `{source}` {problem}"
        raise InputError(Diagnostic("data", text, label=_FORMS, help=did_you_mean(source, ("digits",))))
    if path.suffix.lower() in (".csv", ".tsv"):
        return find_table(path, task, wishes.tell)
    if path.suffix.lower() == ".npz":
        return find_arrays(path, task, wishes.tell)
    raise InputError(Diagnostic("data", f"cannot tell what `{source}` is", label=_FORMS))


def _check(task: Task | None, validation: float, test: float) -> None:
    if task is not None and task not in get_args(Task):
        raise InputError(Diagnostic("data-target", f"there is no task `{task}`", label=one_of(get_args(Task))))
    for name, share, least in (("validation", validation, "above 0"), ("test", test, "from 0")):
        if not (0 <= share < 1 and (share or name == "test")):
            text = f"the share for {name} is {share:g}"
            raise InputError(Diagnostic("data-split", text, label=f"{least} and below 1"))
    if validation + test >= 1:
        text = f"the shares for validation and test, {validation:g} and {test:g}, leave nothing to train on"
        raise InputError(Diagnostic("data-split", text, label="a sum below 1"))
