"""What a file has besides for timm: its configuration, its classifier, and the function that timm's registry finds."""

from __future__ import annotations

from collections.abc import Sequence

from composer.dag.composition import Composition
from composer.dag.operation import Operation
from composer.dag.scope import Node, num_parameters
from composer.ejecting.fit import identifier, literal
from composer.ejecting.layout import laid_out
from composer.ejecting.refused import cannot
from composer.ejecting.words import told
from composer.spec import zoo

CONFIGURATION = "PRETRAINED_CFG"


def check_input(network: Composition) -> None:
    """Raises InputError unless the network maps one image to one tensor, as timm's do."""
    inputs = list(network.spec.inputs.values())
    if len(inputs) != 1 or len(inputs[0].shape) != 3 or network.root.gives_dict or network.root.training:
        text = f"timm's networks take one image and give one tensor; `{network.spec.name}` does not"
        raise cannot(text, "eject it for PyTorch alone, without `--to timm`")


def configuration(network: Composition) -> list[str]:
    """The lines that define what timm reads of a network."""
    (image,) = network.spec.inputs.values()
    first = next((node for node, _ in network.operations if num_parameters(node)), None)
    head = network.head
    classes = network.spec.vars.get("num_classes")
    entries = {
        "input_size": "SHAPE",
        "mean": image.mean and literal(tuple(image.mean)),
        "std": image.std and literal(tuple(image.std)),
        "interpolation": image.interpolation and literal(image.interpolation),
        "crop_pct": None if image.crop is None else literal(image.crop),
        "num_classes": literal(classes) if isinstance(classes, int) else None,
        "first_conv": first and literal(first.path),
        "classifier": head and literal(head.node.path),
    }
    pairs = ", ".join(f'"{key}": {text}' for key, text in entries.items() if text)
    return laid_out(f"{CONFIGURATION}: dict[str, Any] = {{{pairs}}}", 0)


def methods(network: Composition) -> list[str]:
    """The methods with which timm's trainer asks for the classifier and changes it; none without a plain one."""
    head = network.head.node if network.head is not None else None
    if head is None or not _is_linear(head):
        return []
    features = head.content.arguments["channels"] if isinstance(head.content, Operation) else 0
    target = ".".join(f"[{one}]" if one.isdigit() else one for one in head.path.split("."))
    target = f"self.{target}".replace(".[", "[")
    return [
        "",
        "    def get_classifier(self) -> nn.Module:",
        f"        return {target}",
        "",
        "    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:",
        f"        {target} = nn.Linear({features}, num_classes) if num_classes else nn.Identity()",
        "        self.num_classes = num_classes",
    ]


def attributes(network: Composition, *, counts: bool) -> list[str]:
    """The lines of `__init__` that timm needs. `counts`: whether the number of classes is an argument."""
    classes = "num_classes" if counts else f'{CONFIGURATION}.get("num_classes", 0)'
    return [
        f"        self.pretrained_cfg = self.default_cfg = dict({CONFIGURATION}, num_classes={classes})"
        if counts
        else f"        self.pretrained_cfg = self.default_cfg = dict({CONFIGURATION})",
        *([f"        self.num_classes = {classes}"] if counts else []),
    ]


def entry(network: Composition, name: str, *, counts: bool, taken: Sequence[str]) -> list[str]:
    """The function that `timm.create_model` calls."""
    word = function_name(network, taken)
    argument = f", num_classes: int = {network.spec.vars['num_classes']}" if counts else ""
    head = f"def {word}(pretrained: bool = False{argument}, **known: Any) -> {name}:"
    text = f"{word} has no pretrained weights; load yours with `checkpoint_path=FILE`"
    return [
        "@register_model",
        *laid_out(head, 0),
        f'    """{told(network.spec.name)}, for `timm.create_model({literal(word)})`."""',
        "    if pretrained:",
        *laid_out(f"raise ValueError({literal(text)})", 8),
        '    unknown = sorted(known.keys() - {"pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"})',
        "    if unknown:",
        f"        raise TypeError(f\"{word} does not take {{', '.join(unknown)}}\")",
        f"    return {name}({'num_classes' if counts else ''})",
    ]


def function_name(network: Composition, taken: Sequence[str]) -> str:
    """The network's name in timm's registry; a network of the zoo as it is must not take the place of timm's own."""
    word = identifier(network.spec.name).lower()
    word = f"my_{word}" if zoo.find(network.spec.name) is not None else word
    return f"{word}_" if word in taken else word


def _is_linear(node: Node) -> bool:
    return isinstance(node.content, Operation) and node.content.entry.name == "linear" and node.content.entry.is_own
