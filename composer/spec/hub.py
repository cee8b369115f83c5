"""References to weights that live elsewhere: how they are written. Nothing here connects."""

from __future__ import annotations

import re

_REPO = r"\w[\w.-]*(/\w[\w.-]*)?"
# A path inside the repository: no step of it leads up.
_STEP = r"(?!\.\.?(/|@|$))[^/@]+"
# Hub -> what may follow its name, and an example.
_FORMS = {
    "timm": (r"\w+(\.[\w.-]+)?", "timm:resnet50.a1_in1k"),
    "torchvision": (r"\w+(\.\w+)?", "torchvision:ResNet50_Weights.IMAGENET1K_V2"),
    "hf": (
        rf"(?P<repo>{_REPO})(/(?P<file>{_STEP}(/{_STEP})*))?(@(?P<revision>[\w./-]+))?",
        "hf:timm/resnet50.a1_in1k/model.safetensors@main",
    ),
}


def hub_of(source: str) -> str | None:
    """The hub that a source of weights names (`timm`, `torchvision`, `hf`); None for a path."""
    name, colon, _ = source.partition(":")
    return name if colon and name in _FORMS else None


def parse_reference(reference: str) -> re.Match[str] | None:
    """What follows the hub's name, taken apart; None where it is not written as that hub's are."""
    hub, _, rest = reference.partition(":")
    return re.fullmatch(_FORMS[hub][0], rest)


def example(hub: str) -> str:
    """A reference to show where one is written wrongly."""
    return _FORMS[hub][1]
