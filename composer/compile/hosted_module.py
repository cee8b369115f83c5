"""A model of another library as a network that knows its graph: its class is the library's, and ComposedModule."""

from __future__ import annotations

from typing import Any

from torch import nn

from composer.compile.host_classes import hosted_class
from composer.compile.module import ComposedModule
from composer.compile.taps import TEXT

# Pickled networks hold this text, and so the name of HostedModule: never rename or move it.
_TEXT = """from composer.compile.hosted_module import HostedModule


class Network(Host, HostedModule):
    pass
"""


class _Unless:
    """A property that an attribute of the object hides: the library's own `num_features` comes first."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else getattr(ComposedModule, self.name).__get__(instance, owner)


class HostedModule(ComposedModule):
    """A model of another library that a spec composed: its class is the library's, and this.

    What the library's class or object has comes first; `graph`, `spec`, `seed` and `weights_report` are composer's.
    """

    num_features: Any = _Unless("num_features")
    num_classes: Any = _Unless("num_classes")
    head_hidden_size: Any = _Unless("head_hidden_size")
    feature_info: Any = _Unless("feature_info")
    pretrained_cfg: Any = _Unless("pretrained_cfg")
    default_cfg: Any = _Unless("pretrained_cfg")

    @property
    def code(self) -> str:  # type: ignore[override]
        """The generated forwards, each with the path of its module; the library's own stay where they are."""
        found = []
        for path, module in self.named_modules():
            text = type(module).__dict__.get("hosted_text")
            if isinstance(text, str) and text != TEXT:
                found.append(f"# {path or 'the model'}\n{text}")
        return "\n\n".join(found)

    @property
    def graph(self) -> Any:
        """The graph that was composed."""
        return self.composed.graph


def as_network(model: nn.Module) -> HostedModule:
    """The same object, which now is a HostedModule too."""
    if not isinstance(model, HostedModule):
        model.__class__ = hosted_class(type(model), _TEXT)
    assert isinstance(model, HostedModule)
    return model
