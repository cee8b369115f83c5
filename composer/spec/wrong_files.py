"""Advice for files that are given as specs and are none, and for files that are not there."""

from __future__ import annotations

import os
from pathlib import Path

from composer.errors import Diagnostic, one_of, suggest, typed_in
from composer.paths import is_folder
from composer.spec import zoo

_WEIGHTS = (".pth", ".pt", ".safetensors", ".ckpt", ".bin", ".tar")
_PICTURES = (".svg", ".png", ".jpg", ".jpeg", ".pdf", ".html", ".dot", ".mmd", ".tex")
_YAML = (".yaml", ".yml")


def no_spec(path: Path) -> Diagnostic | None:
    """The error for a file whose ending says that it is no spec; None for any other file."""
    ending = path.suffix.lower()
    if ending in _WEIGHTS:
        help = f"give the network's spec, and `--weights {path}`; in Python `composer.load_weights(model, …)`"
        return Diagnostic("source", f"`{path}` is a file of weights, no spec", label="a .yaml file", help=(help,))
    if ending in _PICTURES:
        text = f"`{path}` is a picture or a page ({ending}), no spec"
        return Diagnostic("source", text, label="a .yaml file", help=("give the spec from which it was drawn",))
    return None


def near(path: Path) -> tuple[str, ...]:
    """Help for a file that is not there: a file beside it, or a network of the zoo, with nearly the same name."""
    if not is_folder(path.parent):
        return (f"there is no folder `{path.parent}`",)
    files = [name for name in sorted(os.listdir(path.parent)) if name.endswith(_YAML)]
    network = suggest(path.stem, zoo.names())
    found = [
        *(f"`{path.parent / name}`" for name in [suggest(path.name, files)] if name),
        *([f"`{network}` of the zoo"] if network else []),
    ]
    if found:
        line = f"did you mean {' or '.join(found)}?"
    else:
        line = "`composer list backbones` shows the zoo's networks"
        line = f"that folder has {one_of(files, 6)}; {line}" if files else line
    return (*typed_in(str(path)[:80]), line)
