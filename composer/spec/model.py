"""What a spec file may contain: frozen models, unknown keys refused, nothing coerced."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from composer.options import PositiveFloat, PositiveInt

POSITIONS = ("before", "after", "replace", "beside", "remove")

_FROZEN = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=False)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(_as_list, json_schema_input_type=str | list[str])]
Template = str


class InputSpec(BaseModel):
    """One input of the network: its shape without the batch, and how an image becomes it.

    `shape` follows `layout` without its `b` axis. `mean` and `std` are per channel, for values in 0..1; `crop` is
    the share of the resized shorter side that the centre crop keeps.
    """

    model_config = _FROZEN

    shape: list[int | Template]
    layout: str = "b c h w"
    mean: list[Annotated[float, Field(allow_inf_nan=False)]] | None = None
    std: list[PositiveFloat] | None = None
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"shape": value} if isinstance(value, list) else value

    def over(self, base: InputSpec) -> InputSpec:
        """The base with what is set here changed."""
        return base.model_copy(update={name: getattr(self, name) for name in self.model_fields_set})


class NodeSpec(BaseModel):
    """One node: an operation or a block, where its inputs come from, and the operation's options as further keys.

    `inline` puts the children of a `repeat` into the scope itself, and the node's name stands for the last of them.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    op: Template | None = None
    block: Template | None = None
    sources: Names | None = Field(None, alias="from")
    when: bool | Template | None = None
    site: Names = []
    repeat: int | Template | None = None
    child_name: Template | None = Field(None, alias="as")
    inline: bool = False
    args: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"op": value} if isinstance(value, str) else value

    @property
    def options(self) -> dict[str, Any]:
        """The keys that are not the language's own."""
        return dict(self.model_extra or {})


NODE_KEYS = tuple(field.alias or name for name, field in NodeSpec.model_fields.items())


class BlockSpec(BaseModel):
    """A scope that nodes can instantiate: arguments (null = required), derived vars, named inputs and nodes.

    `numbered` makes one plain sequence of it: its operations and those of the blocks inside it are called 0, 1, 2 …
    """

    model_config = _FROZEN

    site: Names = []
    numbered: bool = False
    inputs: Names = ["input"]
    args: dict[str, Any] = {}
    vars: dict[str, Any] = {}
    nodes: Annotated[dict[str, NodeSpec], Field(min_length=1)]
    outputs: dict[str, str] | None = None


class Rule(BaseModel):
    """Where one attention goes: a mechanism and exactly one position, or a bare `remove`."""

    model_config = _FROZEN

    use: str | None = None
    before: str | None = None
    after: str | None = None
    replace: str | None = None
    beside: str | None = None
    remove: str | None = None
    where: str | bool | None = None
    options: dict[str, Any] = Field({}, alias="with")
    expect: PositiveInt | None = None
    name: str | None = None
    start: Literal["identity"] | None = None
    tokens: Literal["pixels", "channels"] | None = None

    @property
    def positions(self) -> list[str]:
        """The positions that are written; a valid rule has one."""
        return [position for position in POSITIONS if getattr(self, position) is not None]

    @property
    def position(self) -> str:
        """The one position of a valid rule."""
        return self.positions[0]

    @property
    def selector(self) -> str:
        """The site or glob of a valid rule."""
        return str(getattr(self, self.position))


class WeightsSpec(BaseModel):
    """Which weights a network starts with: a file or a reference to a hub, and how they are fitted to it.

    source   a path relative to the file that writes it, `timm:…`, `torchvision:…`, `hf:…`, or `none`
    require  how much of the network they must fill
    match    by name, or the n-th tensor of the file to the n-th of the plain backbone
    keys     a key map of the zoo, or a .yaml file: the file's names -> ours
    ema      take the averaged weights of a checkpoint that holds both
    entry    which entry of a checkpoint that holds several sets of weights, dotted
    prefix   what the names of the weights begin with in the file, where several would do
    sha256   the hash that a file must have, in hexadecimal; a lock writes it
    """

    model_config = _FROZEN

    source: Annotated[str, Field(min_length=1)]
    require: Literal["all", "backbone", "any"] = "backbone"
    match: Literal["name", "order"] = "name"
    keys: str | None = None
    ema: bool = False
    entry: Annotated[str, Field(min_length=1)] | None = None
    prefix: str | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"source": value} if isinstance(value, str) else value


# A number as a paper prints it and its unit; Mi and Gi are 2^20 and 2^30.
Figure = Annotated[str, Field(pattern=r"^\d+(\.\d+)? (M|G|Mi|Gi)$")]


class Published(BaseModel):
    """What a paper measured with this network: a row of a results table.

    `top1` is ImageNet accuracy in percent, `images_per_second` the authors' own throughput, bound to their hardware.
    `parameters` and `macs` are as the paper prints them; where this network's are others, `deviates` has them and the
    reason.
    """

    model_config = _FROZEN

    table: str
    architecture: str
    mechanism: str
    top1: Annotated[float, Field(gt=0, le=100)]
    images_per_second: PositiveFloat | None = None
    note: str | None = None
    parameters: Figure | None = None
    macs: Figure | None = None
    deviates: str | None = None


# The name of what a network gives that names nothing.
OUTPUT = "output"


class SpecFile(BaseModel):
    """One file: its own nodes, or another spec to start from; and rules.

    `outputs` is the path of a node, whose tensor the network gives, or names with paths, of which it gives a dict.
    With `maps` they are feature maps b c h w: channels come first, and tokens are laid out as the positions they are
    of, without those that are of none, such as a class token.
    """

    model_config = _FROZEN

    name: str | None = None
    backbone: str | None = None
    input: InputSpec | None = None
    inputs: dict[str, InputSpec] | None = None
    vars: dict[str, Any] = {}
    blocks: dict[str, BlockSpec] = {}
    nodes: dict[str, NodeSpec] | None = None
    outputs: str | dict[str, str] | None = None
    maps: bool = False
    attention: list[Rule] = []
    classes: str | list[str] | None = None
    weights: WeightsSpec | None = None
    published: Published | None = None
    lock: dict[str, Any] | None = None

    @property
    def named_outputs(self) -> dict[str, str] | None:
        """The outputs by name; that of a bare path is `output`."""
        return {OUTPUT: self.outputs} if isinstance(self.outputs, str) else self.outputs
