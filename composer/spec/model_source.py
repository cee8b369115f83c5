"""A model of another library as the beginning of a network: how it is named, and its value in a Spec."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from composer.spec.model import LIBRARIES, InputSpec, SourceSpec
from composer.spec.origin import Origin

PYTHON, FILE = "python", "file"
# Files that hold the graph of a network.
GRAPH_FILES = (".onnx", ".pt2")
# The var whose value goes to the model's factory, whatever it is called there.
CLASSES = "num_classes"
_OF_LIBRARY = re.compile(rf"({'|'.join(one for one in LIBRARIES if one not in (PYTHON, FILE))}):(.+)")
_WORD = r"[A-Za-z_]\w*"
_OF_CODE = re.compile(rf"{_WORD}(\.{_WORD})*:{_WORD}(\.{_WORD})*")


@dataclass(frozen=True)
class ModelSource:
    """A model that another library makes, and what a spec sets of it, its expressions evaluated.

    library     one of LIBRARIES
    name        the model's name there; of transformers its model type, of Python `package.module:factory`
    origin      where the spec writes it
    args        arguments of the factory, as the spec writes them
    config      of transformers, the configuration without its model type
    class_name  of transformers, the class to make; None for what `AutoModel` makes
    vars        vars that somebody set and that the factory takes
    shapes      input -> its shape without the batch
    own_inputs  the inputs that the model has by itself
    """

    library: str
    name: str
    origin: Origin
    args: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    class_name: str | None = None
    vars: Mapping[str, Any] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    own_inputs: Mapping[str, InputSpec] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name if self.library in (PYTHON, FILE) else f"{self.library}:{self.name}"

    @property
    def words(self) -> str:
        """The model, in a message."""
        return f"`{self.name}`" if self.library in (PYTHON, FILE) else f"`{self.name}` of {self.library}"

    @property
    def name_origin(self) -> Origin:
        """Where the name of the model is written."""
        here = self.origin / self.library
        return (here / "model_type" if self.library == "transformers" else here).written

    def origin_of(self, name: str) -> Origin:
        """Where an argument of the factory is written, or where one would be."""
        for key, values in (("args", self.args), ("transformers", self.config)):
            if name in values:
                return (self.origin / key / name).written
        return (self.origin / "args").written

    @classmethod
    def of(cls, written: SourceSpec, origin: Origin) -> ModelSource:
        """The value of a sound text, its expressions not evaluated."""
        (library,) = written.libraries
        named = getattr(written, library)
        config = dict(named) if isinstance(named, dict) else {}
        name = config.pop("model_type") if isinstance(named, dict) else named
        return cls(library, name, origin, written.args, config, written.class_name)


def short_form(text: str) -> SourceSpec | None:
    """The model that a short form names: `timm:resnet50`, `package.module:factory`, or a file; None for any other text.

    >>> short_form("timm:resnet50").to_mapping(), short_form("mine.nets:make").to_mapping()
    ({'timm': 'resnet50'}, {'python': 'mine.nets:make'})
    """
    if is_graph_file(text):
        return SourceSpec.model_validate({FILE: text})
    if found := _OF_LIBRARY.fullmatch(text):
        return SourceSpec.model_validate({found[1]: found[2]})
    return SourceSpec.model_validate({PYTHON: text}) if is_code(text) else None


def is_graph_file(text: str) -> bool:
    """Whether a text is the path of a file that holds a graph."""
    return text.lower().endswith(GRAPH_FILES)


def is_code(text: str) -> bool:
    """Whether a text has the form `package.module:factory`."""
    return _OF_CODE.fullmatch(text) is not None
