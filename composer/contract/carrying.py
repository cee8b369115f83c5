"""Whether a mechanism survives being carried elsewhere: copied, saved, compiled, exported."""

from __future__ import annotations

import copy
import pickle

import torch

from composer.contract.subject import Refusal, Subject, close, shake


def copies(subject: Subject) -> None:
    """Deep copies, pickles and state_dicts hold all of it."""
    module, x = subject.build().eval(), subject.sample()
    shake(module)
    expected = module(x)
    assert torch.equal(copy.deepcopy(module)(x), expected), "its deep copy computes something else"
    assert torch.equal(pickle.loads(pickle.dumps(module))(x), expected), "pickled and read back it differs"
    other = subject.build().eval()
    other.load_state_dict(module.state_dict(), strict=True)
    assert torch.equal(other(x), expected), "its state_dict does not hold all of it"


def meta(subject: Subject) -> None:
    """On the meta device it runs and allocates nothing."""
    with torch.device("meta"):
        module = subject.build()
    x = subject.sample().to("meta")
    assert module(x).shape == x.shape, "it runs otherwise on the meta device"
    real = [name for name, tensor in module.state_dict().items() if tensor.device.type != "meta"]
    assert not real, f"on the meta device it allocates {', '.join(real)}"


def compiles(subject: Subject) -> None:
    """torch.compile takes it in one graph."""
    torch.compiler.reset()
    module, x = subject.build().eval(), subject.sample()
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    close(compiled(x), module(x), "compiled it computes something else")


def exports(subject: Subject) -> None:
    """torch.export takes it, with any batch."""
    module, x = subject.build().eval(), subject.sample()
    program = torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    other = subject.sample(5)
    close(program.module()(other), module(other), "exported it computes something else")


def exports_any_size(subject: Subject) -> None:
    """torch.export takes it with any batch and map, unless it was built for one size."""
    module, x, other = subject.build(9, 11).eval(), subject.sample(2, 9, 11), subject.sample(3, 14, 10)
    try:
        expected = module(other)
    except ValueError as error:
        raise Refusal(str(error)) from error
    Dim = torch.export.Dim
    # Down to 8: a grid that becomes one position wide is another program.
    sizes = {"b": Dim("batch"), "h": Dim("height", min=8), "w": Dim("width", min=8), "n": Dim("tokens", min=8)}
    dynamic = {index: sizes[axis] for index, axis in enumerate(subject.axes) if axis in sizes}
    program = torch.export.export(module, (x,), dynamic_shapes=(dynamic,))
    close(program.module()(other), expected, "exported it computes something else on another size")


def exports_to_onnx(subject: Subject) -> None:
    """onnxruntime computes the same, with any batch."""
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
