"""Arguments that fetch weights, open files or run code. A spec may not give them to a factory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from composer.errors import Diagnostic
from composer.spec.origin import Origin

_NAMES = {
    *(
        "auto_map",
        "cache_dir",
        "checkpoint",
        "checkpoint_path",
        "ckpt",
        "ckpt_path",
        "code_revision",
        "encoder_weights",
    ),
    *("local_files_only", "name_or_path", "progress", "revision", "state_dict", "token", "trust_remote_code"),
    *("use_pretrained_backbone", "weights", "encoder_weights", "use_kernels"),
}
_BEGINNINGS = ("_", "pretrained", "weights_", "hf_")


def is_refused(name: str) -> bool:
    """Whether an argument of this name is about weights, files or code from elsewhere.

    >>> [name for name in ("pretrained_cfg", "weights_backbone", "init_weights", "_name_or_path") if is_refused(name)]
    ['pretrained_cfg', 'weights_backbone', '_name_or_path']
    """
    return name in _NAMES or name.startswith(_BEGINNINGS)


def refusal(name: str, origin: Origin) -> Diagnostic:
    """The problem with an argument of such a name."""
    text = f"`{name}` is about weights, files or code from elsewhere, which no factory is given"
    help = ("write `weights:` beside `backbone`: a file, `timm:…`, `torchvision:…` or `hf:…`",)
    return origin.problem("source-weights", text, "use `weights:`", help, key=True)


def refusals(value: Any, origin: Origin) -> Iterator[Diagnostic]:
    """A problem per argument of such a name, at any depth of a value."""
    if isinstance(value, dict):
        for name, child in value.items():
            if is_refused(name):
                yield refusal(name, origin / name)
            else:
                yield from refusals(child, origin / name)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from refusals(child, origin / index)
