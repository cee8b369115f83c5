"""The content that a spec file may have: frozen models. Unknown keys are refused, and no value is coerced."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from composer.options import PositiveFloat, PositiveInt
from composer.spec.freeze import FreezeSpec

POSITIONS = ("before", "after", "replace", "beside", "remove")
# Position -> keys of a rule that say nothing there.
UNSAID = {
    "before": ("output",),
    "after": ("input",),
    "replace": ("output",),
    "remove": ("use", "with", "name", "start", "tokens", "share", "input", "output", "from"),
}

_FROZEN = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=False)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(_as_list, json_schema_input_type=str | list[str])]
Template = str


class InputSpec(BaseModel):
    """An input of the network: its shape without the batch, and how an image is prepared.

    `shape` follows `layout` without its `b` axis. `grid` is the height and width of the map from which the tokens of a
    layout `b n c` come; those that it leaves over stand before it, as a class token does. `mean` and `std` are per
    channel, for values in 0..1. `crop` is the share of the resized shorter side that the centre crop keeps.
    """

    model_config = _FROZEN

    shape: list[int | Template]
    layout: str = "b c h w"
    grid: Annotated[list[int | Template], Field(min_length=2, max_length=2)] | None = None
    mean: list[Annotated[float, Field(allow_inf_nan=False)]] | None = None
    std: list[PositiveFloat] | None = None
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"shape": value} if isinstance(value, list) else value

    def over(self, base: InputSpec) -> InputSpec:
        """The base, with the fields that are set here replaced."""
        return base.model_copy(update={name: getattr(self, name) for name in self.model_fields_set})


class NodeSpec(BaseModel):
    """A node: an operation or a block, its inputs, and further keys as the operation's options.

    `inline` puts the children of a `repeat` into the scope itself; the node's name then means the last of them.
    `share` names a node of the same scope: this node calls that node's module again, on inputs of its own. Or it is
    `true`, for a `repeat` whose copies are one module, called once for each.
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
    share: str | bool | None = Field(
        None,
        description="A node of the same scope, whose module this node calls again with the same weights; "
        "`true` for a `repeat`: all its copies are one module.",
    )
    args: dict[str, Any] = {}
    # No text spells this key: a node with `backbone` has the keys of a part among its own.
    part: PartSpec | None = Field(None, alias="(part)")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, dict) and "backbone" in value:
            own = {key: one for key, one in value.items() if key in NODE_KEYS and key != "backbone"}
            return {**own, "(part)": {key: one for key, one in value.items() if key not in own}}
        return {"op": value} if isinstance(value, str) else value

    @property
    def options(self) -> dict[str, Any]:
        """The keys that are not part of the language."""
        return dict(self.model_extra or {})


NODE_KEYS = ("backbone", *(field.alias or name for name, field in NodeSpec.model_fields.items() if name != "part"))


class BlockSpec(BaseModel):
    """A scope that nodes can instantiate: arguments (null = required), derived vars, named inputs and nodes.

    `numbered` makes a plain sequence of it: its operations and those of the blocks inside are called 0, 1, 2 …
    A rule may use a block as a mechanism: `layout` is the one that it works in (by default any), and what a rule finds
    otherwise is turned into it and back. `kind` is that of the mechanism in lists, and `description` says what it does.
    """

    model_config = _FROZEN

    kind: Literal["channel", "spatial", "channel+spatial", "branch", "kernel", "token"] | None = None
    layout: Literal["b c h w", "b h w c", "b n c"] | None = None
    site: Names = []
    numbered: bool = False
    inputs: Names = ["input"]
    args: dict[str, Any] = {}
    vars: dict[str, Any] = {}
    nodes: Annotated[dict[str, NodeSpec], Field(min_length=1)]
    outputs: dict[str, str] | None = None
    description: str | None = None


# A site, or a glob over paths; or a list of them.
Selector = str | Annotated[list[str], Field(min_length=1)]


class Rule(BaseModel):
    """Where attention goes: a mechanism and exactly one position, or a bare `remove`.

    `every: 2` leaves the 2nd, 4th … of the places that `where` leaves; `expect` counts after it.
    """

    model_config = _FROZEN

    use: str | None = None
    before: Selector | None = None
    after: Selector | None = None
    replace: Selector | None = None
    beside: Selector | None = None
    remove: Selector | None = None
    input: str | Annotated[int, Field(ge=0)] | None = None
    output: str | Annotated[int, Field(ge=0)] | None = None
    sources: dict[str, str] = Field({}, alias="from")
    where: str | bool | None = None
    every: PositiveInt | None = None
    options: dict[str, Any] = Field({}, alias="with")
    expect: PositiveInt | None = None
    name: str | None = None
    start: Literal["identity"] | None = None
    tokens: Literal["pixels", "channels"] | None = None
    description: str | None = None
    share: Literal["stage", "all"] | dict[str, Literal["stage", "all"]] | None = Field(
        None,
        description="`stage` or `all`: one mechanism, with one set of weights, for all places of a stage or of the "
        "rule; or a mapping of children of the mechanism's module to either, such as `{channel: stage}`.",
    )

    @property
    def shared(self) -> dict[str, Literal["stage", "all"]]:
        """Child of the mechanism's module, "" for all of it -> where all that call it are."""
        return {"": self.share} if isinstance(self.share, str) else self.share or {}

    @property
    def positions(self) -> list[str]:
        """The positions that the rule writes; a valid rule has exactly one."""
        return [position for position in POSITIONS if getattr(self, position) is not None]

    @property
    def position(self) -> str:
        """The position of a valid rule."""
        return self.positions[0]

    @property
    def selectors(self) -> list[str]:
        """The sites or globs of a valid rule."""
        written = getattr(self, self.position)
        return [written] if isinstance(written, str) else list(written)

    @property
    def selector(self) -> str:
        """Its sites or globs as messages and pictures write them."""
        return ", ".join(self.selectors)


class WeightsSpec(BaseModel):
    """The weights that a network starts with: a file or a reference to a hub, and how they are fitted.

    source   a path relative to the file that writes it, `timm:…`, `torchvision:…`, `hf:…`, or `none`
    require  how much of the network the weights must fill
    match    by name, or the n-th tensor of the file to the n-th of the plain backbone
    keys     a key map of the zoo, or a .yaml file: the file's names -> ours
    ema      take the averaged weights if a checkpoint holds both
    entry    the entry to take, dotted, if a checkpoint holds several sets of weights
    prefix   what the names in the file begin with, if several prefixes fit
    sha256   the hash that the file must have, in hexadecimal; a lock file writes it
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


def _form_of_weights(value: Any) -> str:
    if not isinstance(value, dict) or "source" in value or value.keys() <= WeightsSpec.model_fields.keys():
        return "(all)"
    return "(parts)"


# Those of the whole network; or of networks inside it, by the paths of their nodes. The tags stand in no text.
Weights = Annotated[
    Annotated[WeightsSpec, Tag("(all)")] | Annotated[dict[str, WeightsSpec], Tag("(parts)")],
    Discriminator(_form_of_weights),
]


# A number as a paper prints it, with its unit; Mi and Gi are 2^20 and 2^30.
Figure = Annotated[str, Field(pattern=r"^\d+(\.\d+)? (M|G|Mi|Gi)$")]


class Published(BaseModel):
    """The results that a paper measured with this network: a row of a results table.

    `table` is the number of the article's table, or the name of what prints the row, such as `README of SimAM`.
    `top1` is ImageNet accuracy in percent, `images_per_second` the authors' own throughput on their hardware.
    `parameters` and `macs` are as the paper prints them; if this network's differ, `deviates` gives its own and the
    reason. `counter` says what the paper counts beside the products of convolutions and matrices, if anything:

    thop     two for each element that a norm gives
    ptflops  that, and one for each element that a ReLU gives or a pooling takes
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
    counter: Literal["thop", "ptflops"] | None = None
    deviates: str | None = None


# What may make a model that is not composer's, as a spec names it.
LIBRARIES = ("timm", "torchvision", "transformers", "smp", "python", "file")


class SourceSpec(BaseModel):
    """A model of another library, or of people's own code, as a backbone: exactly one of LIBRARIES, and arguments.

    timm, torchvision  the name of the model in the library's own registry
    transformers       the model's configuration, with `model_type`; or the model type alone
    smp                an architecture of segmentation_models_pytorch, such as `Unet`
    python             `package.module:factory`, which runs code of this machine
    file               a graph to look at, not to run: `.onnx`, or `.pt2` of torch.export; its path from this file
    class              of transformers, the class that is made; by default what `AutoModel` makes
    args               arguments of the factory: plain values, which may be expressions of the spec's vars
    """

    model_config = _FROZEN

    timm: Annotated[str, Field(min_length=1)] | None = None
    torchvision: Annotated[str, Field(min_length=1)] | None = None
    transformers: Annotated[str, Field(min_length=1)] | dict[str, Any] | None = None
    smp: Annotated[str, Field(min_length=1)] | None = None
    python: Annotated[str, Field(min_length=1)] | None = None
    file: Annotated[str, Field(min_length=1)] | None = None
    class_name: Annotated[str, Field(min_length=1)] | None = Field(None, alias="class")
    args: dict[str, Any] = {}

    @property
    def libraries(self) -> list[str]:
        """The libraries that are named; a valid one has exactly one."""
        return [library for library in LIBRARIES if getattr(self, library) is not None]

    def to_mapping(self) -> dict[str, Any]:
        """As a spec writes it."""
        return self.model_dump(by_alias=True, exclude_defaults=True)


def _form_of_backbone(value: Any) -> str:
    if isinstance(value, SourceSpec) or (isinstance(value, dict) and not value.keys() & {"nodes", "backbone"}):
        return "(source)"
    return "(spec)" if isinstance(value, dict | SpecFile) else "(name)"


# A name or path, or a model of another library. The tags stand in no text.
Backbone = Annotated[
    Annotated[str, Tag("(name)")] | Annotated[SourceSpec, Tag("(source)")],
    Discriminator(lambda value: "(name)" if isinstance(value, str) else "(source)"),
]


# The name of a network's output if the spec gives it no name.
OUTPUT = "output"
# In place of the path of an output: the features at every scale.
LEVELS = "levels"


class PartSpec(BaseModel):
    """A network as a block: a backbone, and what a spec may say about it. Its vars are a namespace of its own.

    `backbone` is a name of the zoo, a path, an expression of the spec's vars, a model of another library, or a whole
    spec, as a lock has it.
    """

    model_config = _FROZEN

    site: Names = []
    backbone: Annotated[
        Annotated[Template, Tag("(name)")]
        | Annotated[SourceSpec, Tag("(source)")]
        | Annotated[SpecFile, Tag("(spec)")],
        Discriminator(_form_of_backbone),
    ]
    vars: dict[str, Any] = {}
    outputs: str | dict[str, str] | None = None
    maps: bool = False
    attention: list[Rule] = []
    weights: WeightsSpec | None = None
    description: str | None = None


def _form_of_block(value: Any) -> str:
    return "(part)" if isinstance(value, PartSpec) or (isinstance(value, dict) and "backbone" in value) else "(block)"


# The tags stand in pydantic's paths; no text spells them.
Block = Annotated[
    Annotated[BlockSpec, Tag("(block)")] | Annotated[PartSpec, Tag("(part)")], Discriminator(_form_of_block)
]


class OutputSpec(BaseModel):
    """An output of a network that only training has, or that a var leaves out: the path of a node, and when."""

    model_config = _FROZEN

    path: str = Field(alias="from")
    only: Literal["training"] | None = None
    when: bool | Template = True


class SpecFile(BaseModel):
    """A file: its own nodes, or another spec to start from; and rules.

    `outputs` is the path of a node, and the network returns its tensor; or a mapping name -> path, and the network
    returns a dict; or `levels`: the features at every scale as maps, `c1` after one halving and so on. With `maps` the
    outputs are feature maps b c h w: channels first, tokens arranged by their positions, and tokens without a position,
    such as a class token, left out. Outputs that only training has make a dict of all in training; without them, a
    single output is a tensor.
    """

    model_config = _FROZEN

    name: str | None = None
    description: str | None = None
    backbone: Backbone | None = None
    input: InputSpec | None = None
    inputs: dict[str, InputSpec] | None = None
    vars: dict[str, Any] = {}
    blocks: dict[str, Block] = {}
    nodes: dict[str, NodeSpec] | None = None
    outputs: str | dict[str, str | OutputSpec] | None = None
    maps: bool = False
    sites: dict[str, str | list[str]] = {}
    attention: list[Rule] = []
    classes: str | list[str] | None = None
    weights: Weights | None = None
    kernels: Literal["fused", "reference"] | None = None
    freeze: FreezeSpec | None = None
    # Read by composer.spec.training, as a Recipe.
    train: str | dict[str, Any] | None = None
    published: Published | None = None
    lock: dict[str, Any] | None = None


for model in (NodeSpec, BlockSpec, PartSpec):
    model.model_rebuild()
