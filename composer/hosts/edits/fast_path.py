"""Keeps PyTorch's transformer layers from passing over what was inserted into them."""

from __future__ import annotations

from torch import nn

from composer.hosts.edits.apply import ModuleEdit

# In eval mode without gradients these classes hand the weights of all their modules to one kernel, which calls none of
# the modules, and so nothing in them. An attribute of the object decides; a property of the class comes before it.
_LINE = "    {} = property(lambda self: {}, lambda self, value: None)\n"
_DECIDES = (
    (nn.TransformerEncoderLayer, _LINE.format("activation_relu_or_gelu", 0)),
    (nn.TransformerEncoder, _LINE.format("use_nested_tensor", False)),
)
_CLASS = "class Plain(Host):\n"


def close_fast_paths(model: nn.Module, edits: dict[str, ModuleEdit]) -> None:
    """Edit the classes of transformer layers, and of stacks of them, that have edited modules inside: they call these.

    edits  by path of the module; those of the layers and stacks are added
    """
    for path, module in model.named_modules():
        line = next((line for one, line in _DECIDES if isinstance(module, one)), None)
        start = f"{path}." if path else ""
        # What runs before and behind a layer's own forward is not passed over.
        if line is None or not any(one != path and one.startswith(start) for one in edits):
            continue
        edit = edits.setdefault(path, ModuleEdit(path))
        edit.text = f"{edit.text.rstrip() or _CLASS.rstrip()}\n{line}"
