"""Which mechanisms a network cannot have at their default place, and the reason it must give: rules, each of them true.

A rule is about the kind of mechanism and what the network lacks, never about a network's name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from composer.dag.operation import Operation
from composer.dag.rules.places import Place
from composer.dag.tensor import TensorSpec
from composer.registry import ANY_MAP, POSITIONS, Entry, ModuleEntry


@dataclass(frozen=True)
class Cell:
    """A mechanism in a network: the rule that puts it there, the network's places, and those that the rule means."""

    entry: Entry
    rule: Mapping[str, str]
    places: Sequence[Place]
    hosts: Sequence[Place]

    @property
    def site(self) -> str:
        """The site of the rule."""
        return next(self.rule[position] for position in POSITIONS if position in self.rule)

    def option(self, name: str) -> Any:
        """The default of an option of the mechanism."""
        return self.entry.options.model_fields[name].default


@dataclass(frozen=True)
class Host:
    """One of the places: what arrives, what it gives, and the settings of the operation that is there."""

    place: Place

    @property
    def arriving(self) -> TensorSpec:
        """The tensor that a replacement gets."""
        assert self.place.input is not None
        return self.place.input

    def seen_by(self, entry: Entry, behind: bool = False) -> TensorSpec:
        """The same (or what it gives) as a mechanism on maps sees it, which stands in another layout."""
        tensor = self.given if behind else self.arriving
        grid = tensor.positions
        if tensor.layout == "b c h w" or not _is_on_maps(entry) or grid is None:
            return tensor
        return TensorSpec((tensor.shape[0], tensor.channels or 0, grid.height, grid.width), "b c h w")

    @property
    def given(self) -> TensorSpec:
        """The tensor that it gives."""
        return self.place.node.tensor

    @property
    def operation(self) -> Operation | None:
        """The operation, where it is one."""
        content = self.place.node.content
        return content if isinstance(content, Operation) else None

    @property
    def is_convolution(self) -> bool:
        """Whether it is a convolution or a mechanism that stands in for one."""
        return self.operation is not None and (self.operation.entry.kind == "conv" or self.stands_in is not None)

    @property
    def stands_in(self) -> str | None:
        """What the mechanism that is there stands in for."""
        return self.operation.entry.replaces if self.operation else None

    @property
    def out_channels(self) -> int:
        """Channels that a replacement must give."""
        assert self.given.channels is not None
        return self.given.channels

    @property
    def groups(self) -> int:
        """Groups of the convolution."""
        return int(self.operation.arguments.get("groups", 1)) if self.operation else 1


def expected_refusal(cell: Cell) -> str | None:
    """How the refusal of a cell must start; None where it must compose."""
    if not cell.places.select(cell.site):
        return f"no place is called `{cell.site}`"
    if not cell.hosts:
        return f"`{cell.site}` has {_places(len(cell.places.select(cell.site)))}, and `where` leaves none of them"
    found = (reason for place in cell.hosts for rule in RULES if (reason := rule(cell, Host(place))))
    return next(found, None)


def _places(count: int) -> str:
    return f"{count} place{'s' * (count != 1)}"


def _needs_further_tensors(cell: Cell, host: Host) -> str | None:
    """A rule by default binds no second tensor, and a mixer, which has several inputs, is not in the place of one."""
    names = cell.entry.tensors
    if cell.entry.inputs[0] == 1 or "replace" in cell.rule:
        return None
    return f"`{cell.entry.name}` takes {', '.join(f'`{name}`' for name in names)}, and nothing says what `{names[1]}`"


def _takes_one_of_several(cell: Cell, host: Host) -> str | None:
    """Attention of a class token to the patches takes both; what replaces it gets both."""
    most, found = cell.entry.inputs[1], len(host.place.node.inputs)
    if "replace" not in cell.rule or most is None or found <= most or cell.entry.kind == "fusion":
        return None
    return None if _is_on_maps(cell.entry) else f"`{cell.entry.name}` takes {most} input, found {found}"


def _has_no_positions(cell: Cell, host: Host) -> str | None:
    """The last blocks of CaiT and XCiT work on the class token alone, which is no map, though it is a sequence."""
    tensor = host.given if "after" in cell.rule else host.arriving
    if not _is_on_maps(cell.entry) or cell.entry.works_on == ANY_MAP or tensor.grid is None or tensor.grid.is_map:
        return None
    return f"`{cell.entry.name}` works on maps, and the tokens here ({tensor}) are a prefix without positions"


def _class_token_would_go_without(cell: Cell, host: Host) -> str | None:
    """What works on maps lets a class token pass by, which cannot do without the mixer of tokens."""
    node, grid = host.place.node, host.arriving.grid
    if "replace" not in cell.rule or not _is_on_maps(cell.entry) or not grid or not grid.prefix:
        return None
    return f"`{cell.entry.name}` works on maps: in place of `{node.path}`, prefix tokens would not get"


def _has_no_class_token(cell: Cell, host: Host) -> str | None:
    """Attention of the class token needs one, and only a grid tells whether the first token is one."""
    if cell.entry.name != "class_attention":
        return None
    tensor = host.given if "after" in cell.rule else host.arriving
    if tensor.grid is not None and tensor.grid.prefix:
        return None
    if tensor.layout != "b n c":
        # It sees a map as tokens.
        tensor = TensorSpec((tensor.shape[0], math.prod(_side(tensor)), tensor.channels or 0), "b n c")
    return f"`class_attention` does not fit {tensor}: these tokens are not"


def _needs_a_convolution(cell: Cell, host: Host) -> str | None:
    """Kernels replace kernels; attention between positions may also replace another that keeps the map."""
    mixer = cell.entry.kind == "token" and host.arriving == host.given
    if cell.entry.replaces is None or host.is_convolution or mixer:
        return None
    node = host.place.node
    return f"`{cell.entry.name}` stands in for a convolution, `{node.path}` is `{node.op}`"


def _would_lose_the_norm(cell: Cell, host: Host) -> str | None:
    """SplAt and SK carry norm and activation, which a bare convolution in their place would lack."""
    if cell.entry.replaces not in ("conv", "conv-or-linear") or host.stands_in != "conv-norm-act":
        return None
    node = host.place.node
    return f"`{node.path}` is `{node.op}`, which brings norm and activation along; `{cell.entry.name}` has none"


def _splits_do_not_divide(cell: Cell, host: Host) -> str | None:
    """SplAt splits the channels of each group, so a depthwise convolution has nothing to split."""
    if cell.entry.name != "splat":
        return None
    channels, groups, radix = host.arriving.channels or 0, host.groups, cell.option("radix")
    hidden = max(channels * radix // cell.option("reduction"), cell.option("floor"))
    fits = channels % (groups * radix) == 0 and host.out_channels % groups == 0 and hidden % groups == 0
    return None if fits else f"`splat` does not fit {host.seen_by(cell.entry)}: "


def _heads_do_not_divide(cell: Cell, host: Host) -> str | None:
    """Heads have the same number of channels each, and those of SASA an even one: half for rows, half for columns."""
    if "num_heads" not in cell.entry.options.model_fields or cell.option("num_heads") is None:
        return None
    channels, heads, seen = host.out_channels, cell.option("num_heads"), host.seen_by(cell.entry)
    if channels % heads:
        return f"`{cell.entry.name}` does not fit {seen}: {channels} channels do not divide into {heads} heads"
    if cell.entry.name == "sasa" and channels // heads % 2:
        return f"`sasa` does not fit {seen}: heads of {channels // heads} channels have no halves"
    return None


def _window_larger_than_the_map(cell: Cell, host: Host) -> str | None:
    """SASA's window of 7 does not fit into a smaller map."""
    if cell.entry.name != "sasa" or min(_side(host.arriving)) >= cell.option("window"):
        return None
    return f"`sasa` does not fit {host.seen_by(cell.entry)}: window={cell.option('window')} is larger than the map"


def _side_or_channels_do_not_fit(cell: Cell, host: Host) -> str | None:
    """Windows want maps that they fit into, and quarters, halves of heads and groups want channels that they divide."""
    behind = "after" in cell.rule
    side, out = min(_side(host.given if behind else host.arriving)), host.out_channels
    match cell.entry.name:
        case "nat":
            fits = side >= cell.option("window")
        case "acmix":
            # What its window sees beyond the map is mirrored, and there must be as much to mirror.
            fits = side > cell.option("window") // 2
        case "axial":
            fits = out % (2 * cell.option("num_heads")) == 0
        case "cot":
            # Its convolution for keys has 4 groups, and 8 outputs share a kernel.
            fits = (host.arriving.channels or 0) % 4 == 0 and out % 8 == 0
        case "epsa" | "scsa":
            fits = out % 4 == 0
        case "fpa":
            # Its pyramid has three maps, each of half the side.
            fits = side >= 8
        case "involution":
            fits = out % cell.option("group_channels") == 0
        case _:
            fits = True
    return None if fits else f"`{cell.entry.name}` does not fit {host.seen_by(cell.entry, behind)}: "


# What gives a strided map of the size that a padded convolution gives.
STRIDED = frozenset({"aa_conv", "acmix", "axial", "bot", "cot", "epsa", "halo", "involution", "lambda", "sasa"})


def _strided_without_padding(cell: Cell, host: Host) -> str | None:
    """A convolution without padding gives a smaller map."""
    if cell.entry.name not in STRIDED or host.operation is None:
        return None
    stride = host.operation.arguments.get("stride", 1)
    pair = stride if isinstance(stride, tuple) else (stride, stride)
    averaged = tuple(-(-side // step) for side, step in zip(_side(host.arriving), pair, strict=True))
    if averaged == _side(host.given):
        return None
    if cell.entry.name == "aa_conv":
        return f"`aa_conv` does not fit {host.seen_by(cell.entry)}: the convolution gives"
    text = f"`{host.place.node.path}` gives {host.given}, in its place `{cell.entry.name}` gives"
    return f"{text} b×{host.out_channels}×{averaged[0]}×{averaged[1]}"


def _side(tensor: TensorSpec) -> tuple[int, int]:
    return (tensor.positions.height, tensor.positions.width) if tensor.positions else (0, 0)


def _is_on_maps(entry: Entry) -> bool:
    return isinstance(entry, ModuleEntry) and entry.works_on in ("b c h w", "b c *")


RULES: Sequence[Callable[[Cell, Host], str | None]] = (
    _needs_further_tensors,
    _needs_a_convolution,
    _takes_one_of_several,
    _has_no_positions,
    _class_token_would_go_without,
    _has_no_class_token,
    _would_lose_the_norm,
    _splits_do_not_divide,
    _side_or_channels_do_not_fit,
    _heads_do_not_divide,
    _window_larger_than_the_map,
    _strided_without_padding,
)
