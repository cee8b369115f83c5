"""The syntax of references to weights on hubs. Nothing here connects."""

from __future__ import annotations

import re

_REPO = r"\w[\w.-]*(/\w[\w.-]*)?"
# A part of a path inside the repository; no part may lead upwards.
_STEP = r"(?!\.\.?(/|@|$))[^/@]+"
# Hub -> a pattern for the text after its name, and an example.
_FORMS = {
    "timm": (r"\w+(\.[\w.-]+)?", "timm:resnet50.a1_in1k"),
    "torchvision": (r"\w+(\.\w+)?", "torchvision:ResNet50_Weights.IMAGENET1K_V2"),
    "hf": (
        rf"(?P<repo>{_REPO})(/(?P<file>{_STEP}(/{_STEP})*))?(@(?P<revision>[\w./-]+))?",
        "hf:timm/resnet50.a1_in1k/model.safetensors@main",
    ),
}


def hub_of(source: str) -> str | None:
    """The hub in a source of weights (`timm`, `torchvision`, `hf`); None for a path."""
    name, colon, _ = source.partition(":")
    return name if colon and name in _FORMS else None


def parse_reference(reference: str) -> re.Match[str] | None:
    """The parts of a reference after the hub's name; None if it does not follow the hub's syntax."""
    hub, _, rest = reference.partition(":")
    return re.fullmatch(_FORMS[hub][0], rest)


def example(hub: str) -> str:
    """A correct reference, for a message about a wrong one."""
    return _FORMS[hub][1]
