"""The names that PyTorch does not promise to keep: what composer needs of each, and that one file alone uses them."""

from __future__ import annotations

import ast
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import composer
from composer import torch_private as private

PACKAGE = Path(composer.__file__).parent
# Attributes of modules, operations and tensors that are PyTorch's own affair.
ATTRIBUTES = {"_modules", "_parameters", "_buffers", "_non_persistent_buffers_set", "_compiled_call_impl", "_schema"}
ATTRIBUTES |= {
    "_cdata",
    "_get_allowed_globals",
    "_state_dict_hooks",
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_version",
}


def private_names(source: str) -> Iterator[str]:
    """What a module uses of PyTorch that is private."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
            names = [f"{node.module}.{one.name}" for one in node.names]
        elif isinstance(node, ast.Import):
            names = [one.name for one in node.names if one.name.startswith("torch.")]
        elif isinstance(node, ast.Attribute):
            # What is called on the way is read on its own.
            text = ast.unparse(node).partition("(")[0]
            names = [text] if text.startswith("torch.") or node.attr in ATTRIBUTES else []
        else:
            continue
        yield from (
            name for name in names if any(part.startswith("_") and part[:2] != "__" for part in name.split("."))
        )


def test_one_file_alone_uses_them() -> None:
    for file in PACKAGE.rglob("*.py"):
        if file.name != "torch_private.py":
            assert list(private_names(file.read_text())) == [], file


def test_the_reading_can_fail() -> None:
    assert list(private_names("from torch._utils import x")) == ["torch._utils.x"]
    assert list(private_names("from torch.nn import _y")) == ["torch.nn._y"]
    assert list(private_names("import torch._dynamo")) == ["torch._dynamo"]
    assert list(private_names("module._modules.get(1)")) == ["module._modules"]
    assert "torch._C" in list(private_names("torch._C.x()"))
    assert list(private_names("from torch import nn\nself._own\ntorch.__version__")) == []


def test_children_parameters_and_buffers_are_the_modules_own() -> None:
    """Views and edits read and change them; a child that is None is there too."""
    module = nn.BatchNorm2d(3)
    module.register_module("left_out", None)
    assert private.children(module) == {"left_out": None}
    assert list(private.parameters(module)) == ["weight", "bias"]
    assert list(private.buffers(module)) == ["running_mean", "running_var", "num_batches_tracked"]
    private.children(module)["inside"] = nn.Identity()
    private.parameters(module)["weight"] = None
    assert isinstance(module.inside, nn.Identity)
    assert module.weight is None


def test_buffers_that_no_state_dict_holds() -> None:
    """The contract wants them to be computed anew."""
    module = nn.Module()
    module.register_buffer("kept", torch.zeros(1))
    module.register_buffer("derived", torch.zeros(1), persistent=False)
    assert private.without_state_dict(module) == {"derived"}


def test_a_twin_shares_all_but_children_and_parameters() -> None:
    """A view's objects have the hooks and the mode of the live ones."""
    module = nn.Sequential(nn.Linear(2, 2)).eval()
    module.compile(backend="eager")
    module.register_forward_hook(lambda module, inputs, output: output + 1)
    module.extra = 3
    found = private.twin(nn.Sequential, module)
    assert (type(found), len(found), found.training, found.extra) == (nn.Sequential, 0, False, 3)
    assert not private.is_compiled(found)
    assert found(torch.zeros(1)).item() == 1
    linear, other = nn.Linear(2, 2), nn.Linear(2, 2)
    private.share_parameters(linear, other)
    other.weight = nn.Parameter(torch.ones(2, 2))
    assert linear.weight is other.weight


def test_errors_of_fake_tensors_are_raised_and_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """The summary says in one line why an operation cannot be counted."""
    with private.without_logs(), private.FakeTensorMode(), pytest.raises(RuntimeError, match="Sizes of tensors"):
        torch.cat([torch.zeros(2, 3), torch.zeros(3, 4)], dim=1)
    assert not capfd.readouterr().err


def test_hooks_of_all_kinds_are_seen() -> None:
    """A convolution is folded only if nobody looks at its result."""
    for register in ("forward_hook", "forward_pre_hook", "full_backward_hook", "full_backward_pre_hook"):
        module = nn.Linear(2, 2)
        assert not private.has_hooks(module)
        getattr(module, f"register_{register}")(lambda *values: None)
        assert private.has_hooks(module)


def test_convolutions_are_told_apart() -> None:
    """Which axis of a weight has the outputs depends on it."""
    assert isinstance(nn.Conv1d(1, 1, 1), private.AnyConvolution)
    assert not isinstance(nn.Conv1d(1, 1, 1), private.AnyTransposedConvolution)
    assert isinstance(nn.ConvTranspose3d(1, 1, 1), private.AnyTransposedConvolution)


def test_compiled_modules_are_known() -> None:
    """`record` says why they give it no values."""
    module = nn.Linear(2, 2)
    assert not private.is_compiled(module)
    assert private.is_compiled(torch.compile(module, backend="eager"))
    module.compile(backend="eager")
    assert private.is_compiled(module)


def test_operations_say_their_arguments() -> None:
    """Seeded drawing finds the overload that takes a generator, and weights what a layer is called with."""
    found = private.arguments_of(torch.ops.aten.bernoulli_.float)
    assert [argument.name for argument in found] == ["self", "p", "generator"]
    assert found[1].has_default_value()
    assert found[1].default_value == 0.5


def test_every_operation_passes_through_a_dispatch_mode() -> None:
    """Costs, seeds and what weights are used for are read there."""
    seen = []

    class Seen(private.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append((str(func), len(private.tree_leaves((args, kwargs)))))
            return func(*args, **(kwargs or {}))

    with Seen():
        torch.zeros(2) + torch.ones(2)
    assert [name for name, _ in seen] == ["aten.zeros.default", "aten.ones.default", "aten.add.Tensor"]


def test_fake_tensors_have_storages_without_memory() -> None:
    """Activation memory is counted by the storages that backward keeps."""
    with private.FakeTensorMode(allow_non_fake_inputs=True):
        x = torch.empty(2**40)
        assert private.storage_of(x) == private.storage_of(x[1:].view(-1)) != private.storage_of(torch.empty(3))


def test_names_of_pickles() -> None:
    """What a checkpoint calls beyond these is refused; pickles of Python 2 have other names for the same."""
    assert {"torch._utils._rebuild_tensor_v2", "collections.OrderedDict"} <= private.unpickled_names()
    assert private.IMPORT_MAPPING["__builtin__"] == "builtins"
    assert private.NAME_MAPPING["__builtin__", "xrange"] == ("builtins", "range")
    assert pickle.loads(pickle.dumps(Tensor)) is Tensor


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm])
def test_batch_norms_have_one_base(norm: type[nn.Module]) -> None:
    """A block that is run again for its gradients must not count its batch twice."""
    assert issubclass(norm, private.AnyBatchNorm)


def test_what_transforms_functions() -> None:
    """Kernels step aside for it: it looks into what they compute."""
    seen = []

    def note(x: Tensor) -> Tensor:
        seen.append(private.is_transforming())
        return x

    note(torch.ones(2))
    torch.vmap(note)(torch.ones(2))
    torch.func.grad(lambda x: note(x).sum())(torch.ones(2))
    with torch.autograd.forward_ad.dual_level():
        note(torch.ones(2))
    assert seen == [False, True, True, True]
