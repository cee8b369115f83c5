"""The operations around a mechanism that works in another layout than the tensor that arrives: into it, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from composer import registry
from composer.dag.grids import why_unknown
from composer.dag.infer import Inference
from composer.dag.scope import Node
from composer.dag.tensor import TensorSpec
from composer.registry import ANY_MAP

PREFIX = "prefix"
# What arrives, and the operation before: the mechanism itself at first.
ARRIVING, BEFORE = "", "^"


class Adaptable(Protocol):
    """What adapters go around: an entry of the registry, or what a rule uses."""

    @property
    def name(self) -> str:
        """The name that a spec has for it."""

    @property
    def works_on(self) -> str | None:
        """The layout that it works in, or `b c *`; None for any."""

    @property
    def layouts(self) -> tuple[str | None, ...]:
        """The layouts that it takes as they are."""

    @property
    def prefix(self) -> bool:
        """Whether it works on maps, and prefix tokens take part: all tokens are then one column."""


class NoAdapter(Exception):
    """Nothing turns what arrives into what a mechanism works on. `key` is the rule's key at fault, if not its place."""

    def __init__(self, message: str, label: str, *help: str, key: str | None = None) -> None:
        super().__init__(message)
        self.label, self.help, self.key = label, help, key


class UnknownGrid(NoAdapter):
    """Tokens cannot become a map, because their grid is not known, or because they have no positions."""


@dataclass(frozen=True)
class Adapter:
    """An operation around a mechanism.

    name  what is added to the mechanism's name
    of    its inputs: names of adapters, ARRIVING, or BEFORE
    """

    name: str
    op: str
    options: Mapping[str, Any] = field(default_factory=dict)
    of: tuple[str, ...] = (BEFORE,)


@dataclass(frozen=True)
class Adapters:
    """What runs before and after a mechanism, which takes the last that runs before it."""

    into: tuple[Adapter, ...] = ()
    back: tuple[Adapter, ...] = ()

    @property
    def prefix_passes(self) -> bool:
        """Whether prefix tokens pass the mechanism by."""
        return any(one.name == PREFIX for one in self.into)

    @property
    def into_only(self) -> Adapters:
        """The same for a further tensor of the mechanism, of which nothing comes back."""
        return Adapters(tuple(one for one in self.into if one.name != PREFIX))

    def adapted(self, tensor: TensorSpec, infer: Inference) -> TensorSpec:
        """The tensor as the mechanism gets it."""
        known = {ARRIVING: tensor, BEFORE: tensor}
        for one in self.into:
            entry = registry.get(one.op)
            assert entry is not None
            found = infer(entry, one.options, [known[name] for name in one.of]).output
            known[one.name] = known[BEFORE] = found
        return known[BEFORE]

    def around(
        self,
        arriving: str,
        make: Callable[[Adapter, tuple[str, ...], Sequence[Node]], Node],
        mechanism: Callable[[str, Sequence[Node]], Node],
    ) -> list[Node]:
        """The nodes: `make` gets an adapter, `mechanism` only its input, and both the nodes made so far."""
        names = {ARRIVING: arriving, BEFORE: arriving}
        made: list[Node] = []

        def add(adapters: Sequence[Adapter]) -> None:
            for one in adapters:
                made.append(make(one, tuple(names[name] for name in one.of), made))
                names[one.name] = names[BEFORE] = made[-1].name

        add(self.into)
        made.append(mechanism(names[BEFORE], made))
        names[BEFORE] = made[-1].name
        add(self.back)
        return made


def returned(node: Node, arriving: TensorSpec) -> Node:
    """The last node of a mechanism: tokens that keep their shape stand where they stood when they arrived."""
    if node.tensor != arriving or arriving.axis("n") is None:
        return node
    return replace(node, output=replace(node.tensor, grid=arriving.grid, lost=arriving.lost))


def adapters(entry: Adaptable, tensor: TensorSpec, tokens: str | None = None) -> Adapters:
    """The operations with which a mechanism works at a tensor; `tokens` are its `pixels` or `channels`, if written.

    Raises NoAdapter.
    """
    if entry.works_on is None and tokens is None:
        return Adapters()
    layout, wanted = tensor.layout, "b c h w" if entry.works_on == ANY_MAP else entry.works_on
    is_map = layout in ("b c h w", "b h w c")
    if tokens is not None and not (is_map and wanted == "b n c"):
        found = f"`{entry.name}` works on `{entry.works_on}`" if wanted != "b n c" else f"here is `{layout}`"
        text = f"`tokens` makes tokens of a map `b c h w` for a mechanism on `b n c`; {found}"
        raise NoAdapter(text, "remove it", key="tokens")
    if layout in entry.layouts:
        return Adapters()
    if layout == "b c n" and wanted is not None:
        return _from_channels_first(entry, tensor)
    if wanted not in ("b c h w", "b h w c", "b n c") or not (is_map or layout in ("b n c", "b c p n")):
        found = (
            f"the place has `{layout}` ({tensor})"
            if layout
            else f"what the axes of the place are is unknown ({tensor})"
        )
        text = f"`{entry.name}` works on `{entry.works_on}`, {found}"
        raise NoAdapter(text, f"a place with `{entry.works_on}`", "`composer list mechanisms` shows what each works on")
    outer = _to_map(entry, tensor)
    inner = _from_map(wanted, tokens or "pixels", outer.into[-1].name if outer.into else ARRIVING)
    return Adapters((*outer.into, *inner.into), (*inner.back, *outer.back))


def _to_map(entry: Adaptable, tensor: TensorSpec) -> Adapters:
    """From the layout that arrives to a map b c h w, and back."""
    if tensor.layout == "b c h w":
        return Adapters()
    if tensor.layout == "b h w c":
        return Adapters((Adapter("channels_first", "channels_first"),), (Adapter("channels_last", "channels_last"),))
    if tensor.layout == "b c p n":
        return _from_windows(entry, tensor)
    # What works on maps, sequences and videos alike needs no grid: a class token alone is a sequence too.
    if entry.prefix or (entry.works_on == ANY_MAP and (tensor.grid is None or not tensor.grid.is_map)):
        column = {"grid": (tensor.shape[1], 1)}
        return Adapters((Adapter("map", "patches_to_map", column),), (Adapter("tokens", "map_to_tokens"),))
    if tensor.grid is None or not tensor.grid.is_map:
        raise _no_map(entry, tensor)
    height, width, prefix = tensor.grid
    to_map = Adapter("map", "patches_to_map", {"grid": (height, width), "skip": prefix}, (ARRIVING,))
    to_tokens = Adapter("tokens", "map_to_tokens")
    if not prefix:
        return Adapters((to_map,), (to_tokens,))
    passed = Adapter(PREFIX, "slice_tokens", {"end": prefix}, (ARRIVING,))
    return Adapters((passed, to_map), (to_tokens, Adapter("joined", "concat", {"axis": "n"}, (PREFIX, BEFORE))))


def _from_windows(entry: Adaptable, tensor: TensorSpec) -> Adapters:
    """From windows that stand side by side, b c p n, to a map of each, and back."""
    if entry.prefix or entry.works_on == ANY_MAP:
        # The same axes by other names, for what takes all positions together.
        into: dict[str, Any] = {"pattern": "b c p n -> b c p n", "layout": "b c h w"}
        back: dict[str, Any] = {"pattern": "b c h w -> b c h w", "layout": "b c p n"}
    elif tensor.grid is not None:
        into = {"pattern": "b c p (h w) -> (b p) c h w", "sizes": {"h": tensor.grid.height}}
        back = {"pattern": "(b p) c h w -> b c p (h w)", "sizes": {"p": tensor.shape[2]}}
    else:
        raise _no_map(entry, tensor)
    return Adapters((Adapter("each_window", "rearrange", into),), (Adapter("windows", "rearrange", back),))


def _from_channels_first(entry: Adaptable, tensor: TensorSpec) -> Adapters:
    """From tokens whose channels come first, b c n, as inside an MLP that mixes tokens, and back."""
    if entry.works_on == ANY_MAP:
        # The same axes by other names.
        into: dict[str, Any] = {"pattern": "b c n -> b c n", "layout": "b c l"}
        back: dict[str, Any] = {"pattern": "b c l -> b c l", "layout": "b c n"}
        return Adapters((Adapter("sequence", "rearrange", into),), (Adapter("tokens", "rearrange", back),))
    batch, channels, tokens = tensor.shape
    inner = adapters(entry, replace(tensor, shape=(batch, tokens, channels), layout="b n c", axes=None))
    first = Adapter("channels_last", "rearrange", {"pattern": "b c n -> b n c"}, (ARRIVING,))
    last = Adapter("channels_first", "rearrange", {"pattern": "b n c -> b c n"})

    def behind(one: Adapter) -> Adapter:
        return replace(one, of=tuple(first.name if name == ARRIVING else name for name in one.of))

    return Adapters((first, *map(behind, inner.into)), (*map(behind, inner.back), last))


def _from_map(wanted: str, axis: str, like: str) -> Adapters:
    """From a map b c h w, which the operation `like` gives, to the wanted layout, and back."""
    if wanted == "b n c":
        back = Adapter("map", "tokens_to_map", {"axis": axis}, (BEFORE, like))
        return Adapters((Adapter("tokens", "map_to_tokens", {"axis": axis}),), (back,))
    if wanted == "b h w c":
        return Adapters((Adapter("channels_last", "channels_last"),), (Adapter("channels_first", "channels_first"),))
    return Adapters()


def _no_map(entry: Adaptable, tensor: TensorSpec) -> UnknownGrid:
    if tensor.grid is not None:
        text = f"`{entry.name}` works on maps, and the tokens here ({tensor}) are a prefix without positions"
        help = "in a rule, `where: grid_height > 0` leaves such places out"
        return UnknownGrid(text, "a place with the tokens of positions", help)
    text = f"`{entry.name}` works on maps, and the grid of the tokens here ({tensor}) is not known"
    text = f"{text}: {why_unknown(tensor)}"
    if not tensor.lost:
        remedy = f"write it at the input, as `grid: [height, width]`; what it leaves of {tensor.shape[1]} is a prefix"
        return UnknownGrid(text, "tokens of a known grid", remedy)
    remedies = (
        "a map hands its grid on in `map_to_tokens`, and in a `rearrange` to `(h w)`",
        "a layer of your own says where its tokens stand by `grid=` in its decorator",
    )
    return UnknownGrid(text, "a place before that", *remedies)
