"""Fits a spec to the data that it is trained on: classes, channels, size, and how an image becomes its input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from composer.amounts import plural
from composer.api import compose
from composer.compile.graph import compile_graph
from composer.compile.module import ComposedModule
from composer.dag.composition import Composition
from composer.dag.limits import MAX_NODES, MAX_PARAMETERS, Limits
from composer.errors import ComposerError, Diagnostic, InputError
from composer.network import Graph
from composer.spec import zoo
from composer.spec.load import load_spec
from composer.spec.model import SpecFile
from composer.spec.sized import sized
from composer.spec.spec import Spec
from composer.training.run import Run

if TYPE_CHECKING:
    from composer.spec.model import InputSpec
    from composer.training.data import Data

# Smaller images are enlarged to this side, in pixels: most networks halve theirs five times.
LEAST_SIDE = 32


@dataclass(frozen=True)
class Fitted:
    """A network that takes the data's images and gives what its task needs.

    graph    the network, composed from one spec without references
    mapping  that spec, as a file writes it
    written  the network as its user's files write it, which is compared with how weights want their images
    said     what was changed, in sentences
    """

    graph: Graph
    mapping: dict[str, Any]
    written: Graph
    said: tuple[str, ...]


def fitted(
    spec: Spec, data: Data, *, image: InputSpec | None = None, size: int | tuple[int, int] | None = None
) -> Fitted:
    """The network for this data.

    spec   the network
    data   what it is trained on
    image  how the weights that it starts with want their images; None for a network with random weights
    size   height and width of its input in pixels, or a number for both; by default the spec's own for a network with
           weights or for images of several sizes, else that of the images, 32 at least, where the network takes it
    Raises InputError for a network that cannot be fitted, SpecError, GraphError.
    """
    said: list[str] = []
    # Whoever writes an input means it.
    is_free = image is None and not any({"input", "inputs"} & file.model_fields_set for file in _own_files(spec))
    if len(spec.inputs) != 1:
        text = f"`{spec.name}` takes {plural(len(spec.inputs), 'input')}"
        raise InputError(Diagnostic("input", text, label="a network that takes images"))
    written = next(iter(spec.inputs.values()))
    if written.layout != "b c h w":
        raise InputError(Diagnostic("input", f"`{spec.name}` takes an input `{written.layout}`", label="b c h w"))
    if "num_classes" in spec.vars and not _is_set(spec, "num_classes") and spec.vars["num_classes"] != data.outputs:
        spec = sized(spec, num_classes=data.outputs)
        said.append(f"num_classes is {data.outputs}, as in the data")
    graph = compose(spec)
    channels = next(iter(graph.root.inputs.values())).channels
    if is_free and channels != data.channels:
        spec = sized(spec, in_chans=data.channels)
        said.append(f"the input has {plural(data.channels, 'channel')}, as the images")
    graph = _of_size(spec, data, size, said) if is_free or size is not None else compose(spec)
    _check_outputs(graph, data)
    mapping = graph.written()
    mapping.pop("weights", None)
    if data.task in ("classes", "labels", "map"):
        mapping["classes"] = list(data.classes)
    ((name, one),) = mapping.pop("inputs").items()
    shape = next(iter(graph.root.inputs.values())).shape[1:]
    mapping["inputs"] = {name: {**one, "shape": list(shape), **_preparation(one, data, image, shape[0])}}
    final = load_spec(mapping, allow_code=spec.allow_code)
    return Fitted(Graph.of(final, Limits(MAX_NODES, MAX_PARAMETERS)), mapping, graph, tuple(said))


def opened(run: Run, *, allow_code: bool = False) -> ComposedModule:
    """The network of a run, with its first or last weights. Raises SpecError, InputError."""
    spec = load_spec(run.network, allow_code=allow_code)
    return compile_graph(compose(spec), run.training.recipe.seed)


def _is_set(spec: Spec, name: str) -> bool:
    """Whether the user writes the var, with a setting or on a backbone."""
    given = any(one.steps[:2] == ("vars", name) for one in spec.overrides)
    return given or any(name in file.vars and file.backbone is not None for file in _own_files(spec))


def _own_files(spec: Spec) -> list[SpecFile]:
    """The files of a spec that its user wrote: those that are none of the zoo's, and stand for no library's model."""
    home = zoo.folder().resolve()
    files = spec.files if spec.source is None else spec.files[:-1]
    return [file.content for file in files if file.path is None or not file.path.resolve().is_relative_to(home)]


def _of_size(spec: Spec, data: Data, size: int | tuple[int, int] | None, said: list[str]) -> Graph:
    if size is not None:
        return compose(sized(spec, img_size=size))
    own = compose(spec)
    if data.size is None:
        return own
    sides = [max(LEAST_SIDE, side) for side in data.size]
    if sides == list(next(iter(own.root.inputs.values())).shape[2:]):
        return own
    try:
        graph = compose(sized(spec, img_size=sides))
    except ComposerError:
        return own
    said.append(f"the input is {sides[0]}×{sides[1]}, for images of {data.size[0]}×{data.size[1]}")
    return graph


def _preparation(written: dict[str, Any], data: Data, image: InputSpec | None, channels: int) -> dict[str, Any]:
    """How an image becomes the input: as the weights want it, or with the mean and spread of the data."""
    if image is not None:
        return image.model_dump(exclude_unset=True, exclude={"shape", "layout", "grid"})
    mean, std = data.statistics()
    if len(mean) != channels:
        mean, std = [sum(mean) / len(mean)] * channels, [sum(std) / len(std)] * channels
    return {"mean": [round(one, 4) for one in mean], "std": [max(round(one, 4), 1e-4) for one in std], "crop": 1.0}


def output_of(graph: Composition) -> str:
    """The name of the output that is trained: the only one, `logits` or `out`, or the first."""
    names = [name for name in graph.outputs if name not in graph.spec.training_outputs]
    return next((name for name in ("logits", "out") if name in names), names[0])


def _check_outputs(graph: Graph, data: Data) -> None:
    """Raises InputError if the output is not what the task needs."""
    tensor = graph.outputs[output_of(graph)]
    wanted = "b c h w" if data.task == "map" else "b c"
    if tensor.layout != wanted:
        text = f"`{graph.spec.name}` gives `{tensor}`, and this data needs {_WORDS[data.task]}"
        help = ("`outputs:` chooses another node; `composer list` shows networks of other rooms",)
        raise InputError(Diagnostic("task", text, label=f"an output `{wanted}`", help=help))
    if tensor.channels != data.outputs:
        text = f"`{graph.spec.name}` gives {plural(tensor.channels or 0, 'value')} for an image"
        what = "values" if data.task == "values" else "classes"
        help = (f"`vars: {{num_classes: {data.outputs}}}`, or leave the var to the data",)
        raise InputError(Diagnostic("task", text, label=f"{data.outputs}, the {what} of the data", help=help))


_WORDS = {
    "classes": "a score for each class",
    "labels": "a score for each label",
    "values": "a number for each value",
    "map": "a map of scores for each class",
}
