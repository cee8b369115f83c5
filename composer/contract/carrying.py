"""Checks that a mechanism can be copied, saved, traced, compiled and exported."""

from __future__ import annotations

import copy
import pickle

import torch
from torch import Tensor, nn

from composer.contract.subject import Failure, Refusal, Subject, close, require, shake
from composer.dag.tensor import TensorSpec
from composer.registry import TokenGrid, declared_shape
from composer.torch_private import buffers, without_state_dict

CANNOT_BE_TRACED = "cannot be traced"
HOW_TO_TRACE = (
    "put what looks at sizes, types or values into a function beside the class and write "
    '`torch.fx.wrap("its_name")` under it, or, where the computation depends on the values, '
    f"say in the docstring that it {CANNOT_BE_TRACED}"
)


def copies(subject: Subject) -> None:
    """A deep copy, a pickle, and a new module with its state_dict compute the same output."""
    module, x = subject.build().eval(), subject.sample()
    shake(module)
    expected = module(x)
    require(torch.equal(copy.deepcopy(module)(x), expected), "its deep copy computes something else")
    require(torch.equal(pickle.loads(pickle.dumps(module))(x), expected), "pickled and read back it differs")
    other = subject.build().eval()
    other.load_state_dict(module.state_dict(), strict=True)
    require(torch.equal(other(x), expected), "its state_dict does not hold all of it")


def _has_its_shape(subject: Subject) -> None:
    for height, width, module in subject.on_sizes():
        x = subject.sample(2, height, width)
        found = tuple(module(x).shape)
        tensor = TensorSpec(tuple(x.shape), " ".join(subject.axes), TokenGrid(height, width))
        options = {name: field.default for name, field in subject.entry.options.model_fields.items()}
        arguments = {**subject.facts(height, width, subject.conv), **options, **subject.options}
        said = declared_shape(subject.entry, [tensor] * subject.entry.inputs[0], arguments, len(x))
        require(found == said, f"its `shape` says {said} for {tuple(x.shape)}, and it gives {found}")


def meta(subject: Subject) -> None:
    """It runs on the meta device and allocates nothing there; or it declares its `shape`, which is the output's."""
    if subject.entry.shape is not None:
        _has_its_shape(subject)
        return
    with torch.device("meta"):
        module = subject.build()
    x = subject.sample().to("meta")
    require(module(x).shape == x.shape, "it runs otherwise on the meta device")
    real = [name for name, tensor in module.state_dict().items() if tensor.device.type != "meta"]
    require(not real, f"on the meta device it allocates {', '.join(real)}")


def derived_buffers(subject: Subject) -> None:
    """Buffers outside the state_dict can be computed again, by timm's method `init_non_persistent_buffers`."""
    module, x = subject.build().eval(), subject.sample()
    expected = module(x)
    for path, part in module.named_modules():
        names = [name for name in sorted(without_state_dict(part)) if buffers(part).get(name) is not None]
        if not names:
            continue
        anew = getattr(part, "init_non_persistent_buffers", None)
        name = f"{path}.{names[0]}".removeprefix(".")
        if anew is None:
            raise Failure(
                f"no state_dict holds `{name}`, which is lost where a network is built on the meta device; "
                "give its module a method `init_non_persistent_buffers()` that computes it, or make it persistent"
            )
        for one in names:
            getattr(part, one).fill_(1)
        anew()
        require(torch.equal(module(x), expected), f"`init_non_persistent_buffers()` does not bring `{name}` back")


def traces(subject: Subject) -> None:
    """A trace by torch.fx.symbolic_trace, which enters all modules but torch.nn's, has the same output bits."""
    for training in (False, True):
        module = nn.Sequential(subject.build().train(training))
        shake(module)
        expected, state = _run(copy.deepcopy(module), subject)
        try:
            traced = torch.fx.symbolic_trace(module)
        except Exception as error:
            if CANNOT_BE_TRACED in " ".join(subject.entry.doc.split()):
                raise Refusal(f"it {CANNOT_BE_TRACED}") from error
            raise Failure(f"{_first_line(error)}; {HOW_TO_TRACE}") from error
        copies = {"": traced, "copied": copy.deepcopy(traced), "pickled": pickle.loads(pickle.dumps(traced))}
        for how, one in copies.items():
            found, after = _run(one, subject)
            what = f"traced{' and ' * bool(how)}{how}"
            require(torch.equal(found, expected), f"{what} it computes something else{' in training' * training}")
            same = state.keys() == after.keys() and all(torch.equal(state[name], after[name]) for name in state)
            require(same, f"{what} it changes its state otherwise")


def _run(module: nn.Module, subject: Subject) -> tuple[Tensor, dict[str, Tensor]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return module(subject.sample()), dict(module.state_dict())


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def compiles(subject: Subject) -> None:
    """torch.compile compiles it as a single graph, which computes the same output."""
    torch.compiler.reset()
    module, x = subject.build().eval(), subject.sample()
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    close(compiled(x), module(x), "compiled it computes something else")


# If a convolution has a group per example, PyTorch 2.10 exports it only for inputs of fewer than 2³¹ numbers.
MAX_BATCH = 1 << 15


def exports(subject: Subject) -> None:
    """torch.export exports it for any batch size up to MAX_BATCH."""
    module, x = subject.build().eval(), subject.sample()
    program = torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim("batch", max=MAX_BATCH)},))
    other = subject.sample(5)
    close(program.module()(other), module(other), "exported it computes something else")


def exports_any_size(subject: Subject) -> None:
    """torch.export exports it for any batch size and map size, unless it was built for a single map size."""
    side = subject.side
    height, width = side + 2, side + 4
    module, x = subject.build(height, width).eval(), subject.sample(2, height, width)
    other = subject.sample(3, 2 * side, side + 3)
    try:
        expected = module(other)
    except ValueError as error:
        raise Refusal(str(error)) from error
    Dim = torch.export.Dim
    # From 8 on: a grid with a width of 1 position needs another program.
    least = side + 1
    sizes = {"b": Dim("batch"), "h": Dim("height", min=least), "w": Dim("width", min=least), "n": Dim("tokens", min=8)}
    dynamic = {index: sizes[axis] for index, axis in enumerate(subject.axes) if axis in sizes}
    program = torch.export.export(module, (x,), dynamic_shapes=(dynamic,))
    close(program.module()(other), expected, "exported it computes something else on another size")


def exports_to_onnx(subject: Subject) -> None:
    """onnxruntime computes the same output, for any batch size."""
    try:
        import onnxruntime  # type: ignore[import-untyped]
        import onnxscript  # noqa: F401, torch's exporter imports it
    except ImportError as error:
        raise Refusal(f"`{error.name}` is not installed; pip install 'attention-composer[export]'") from error
    module, x = subject.build().eval(), subject.sample()
    dynamic = ({0: torch.export.Dim("batch")},)
    program = torch.onnx.export(module, (x,), dynamo=True, dynamic_shapes=dynamic, verbose=False)
    assert program is not None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), options)
    other = subject.sample(5)
    (found,) = session.run(None, {session.get_inputs()[0].name: other.numpy()})
    close(torch.from_numpy(found), module(other), "in onnxruntime it computes something else", 1e-4)
