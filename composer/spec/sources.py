"""The values from which a network can be made, and advice for any other value."""

from __future__ import annotations

from composer.errors import Diagnostic

TAKEN = "a path, a name of the zoo, a mapping or a Spec"
# Wrappers of PyTorch -> the attribute that holds the wrapped module.
_WRAPPERS = {"DataParallel": "module", "DistributedDataParallel": "module", "OptimizedModule": "_orig_mod"}


def wrong_source(given: object, also: str = "") -> Diagnostic:
    """The error for a value from which no network can be made, with advice.

    also  what else the caller takes, such as `a composed network`
    """
    text = f"no network can be made of {_words(given)}"
    return Diagnostic("source", text, label=f"{also}, {TAKEN}" if also else TAKEN, help=_advice(given))


def wrong_network(given: object) -> Diagnostic:
    """The error for a value that is not a composed network."""
    text = f"{_words(given)} is no composed network"
    return Diagnostic("network", text, label="what `composer.build` gives", help=_advice(given))


def _words(given: object) -> str:
    if given is None:
        return "None"
    return f"the class `{given.__name__}`" if isinstance(given, type) else f"an object of type `{type(given).__name__}`"


def wrapped(given: object) -> str:
    """Which of PyTorch's wrappers a value is; empty for any other value."""
    names = [one.__name__ for one in type(given).__mro__]
    return next((wrapper for wrapper in _WRAPPERS if wrapper in names), "")


def _advice(given: object) -> tuple[str, ...]:
    """What to pass instead of a value. Does not import torch."""
    if wrapper := wrapped(given):
        return (f"`{wrapper}` holds a network: give that, its `.{_WRAPPERS[wrapper]}`",)
    names = [one.__name__ for one in type(given).__mro__]
    if "ComposedModule" in names and not isinstance(given, type):
        return ("it is composed already: its spec is `model.spec`, its graph `model.graph`",)
    if hasattr(given, "spec") and hasattr(given, "root"):
        return ("it is composed already: its spec is `graph.spec`",)
    if "Module" in names:
        text = "composer reads networks that it composed; `composer list backbones` shows those of timm and torchvision"
        return (f"{text} that it composes, and `composer.load_weights(model, other.state_dict())` takes their weights",)
    if isinstance(given, list | tuple | set):
        return ("give one at a time",)
    return ("`composer list backbones` shows the names of the zoo",)
