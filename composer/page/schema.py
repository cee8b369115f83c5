"""The types of a page's data, which its script reads as plain JSON values.

`client/src/types.js` has the same types for the script. A test compares both; another checks the data of pages.
"""

# No `from __future__ import annotations`: it would hide at run time which keys are optional.

from typing import Any, Literal, NotRequired, TypedDict

# A file and a line in it: files from 0, lines from 1.
Line = tuple[int, int]

# Inputs and outputs of a node, as numbers in the table of tensors; several ends of a block with their names.
_Ends = TypedDict("_Ends", {"in": NotRequired[list[Any]], "out": NotRequired[list[Any]]})


class FactsData(_Ends):
    """The facts about a node: its kind, source lines and cost; None if not known.

    options, weights, code, contents    numbers in the tables
    line, defined                       where the node is written, and where its block is defined
    shares                              child of its module, empty for all of it, and the path of the node that owns it
    """

    op: str
    kind: str
    parameters: int
    macs: int | None
    memory: NotRequired[int]
    seconds: NotRequired[float]
    line: NotRequired[Line]
    defined: NotRequired[Line]
    description: NotRequired[str]
    rule: NotRequired[int]
    sites: NotRequired[tuple[str, ...]]
    shares: NotRequired[list[tuple[str, str]]]
    options: NotRequired[int]
    weights: NotRequired[int]
    code: NotRequired[int]
    contents: NotRequired[int]
    state: NotRequired[Literal["failed", "unreached"]]


class BoxData(TypedDict):
    """A box, and its texts when closed; empty values are left out.

    look    its classes in the style sheet, when closed
    shapes  output -> shape
    row     text under its name; `lines`: its problem in short lines; `pills`: what rules inserted inside
    inside  of an operation that is more than one step: its number in the table of insides
    """

    path: str
    label: str
    kind: str
    look: str
    op: str
    shapes: NotRequired[list[tuple[str, str]]]
    detail: NotRequired[str]
    copies: NotRequired[list[str]]
    parameters: NotRequired[int]
    holds: NotRequired[list[tuple[int, str, int]]]
    pills: NotRequired[list[str]]
    rule: NotRequired[int]
    helper: NotRequired[bool]
    line: NotRequired[str]
    state: NotRequired[str]
    row: NotRequired[str]
    lines: NotRequired[list[str]]
    problem: NotRequired[str]
    inner: NotRequired["ViewData"]
    inside: NotRequired[int]


class ViewData(TypedDict):
    """The content of a container.

    inputs   names and shapes
    layouts  number of the layout with every box in it closed; then of the layout at the start, if boxes are open
    shapes   shapes of its nets, in the order of `nets` in the layouts
    """

    path: str
    inputs: list[tuple[str, str]]
    outputs: list[str]
    boxes: list[BoxData]
    layouts: list[int]
    shapes: list[str]


class LayoutData(TypedDict):
    """Positions in a container, in pixels from its upper left corner. Items are its inputs, boxes and outputs, in this
    order.

    items   left, top, width and height; an input or output on a frame is a point
    nets    source of each tensor: item, and number of its output
    wires   net, target item, number of its input, then left and top of each point
    labels  shapes: net, left, base line, 1 if `left` is the text's end, and how far from the item labels reach
    """

    size: tuple[int, int]
    items: list[tuple[int, int, int, int]]
    nets: list[tuple[int, int]]
    wires: list[list[int]]
    labels: list[tuple[int, int, int, int, int]]


class InsideData(TypedDict):
    """What an operation computes, step by step: the steps and their facts by path. Paths begin in the operation."""

    view: ViewData
    facts: dict[str, FactsData]


class RuleData(TypedDict):
    """An attention rule: its mechanism, its position, its number of places and its cost."""

    number: int
    use: str
    where: str
    places: int
    description: NotRequired[str]
    condition: NotRequired[str | bool]
    start: NotRequired[str]
    file: NotRequired[int]
    line: NotRequired[int]
    parameters: NotRequired[int]
    macs: NotRequired[int | None]


class NetworkData(TypedDict):
    """A network.

    insets  closed blocks to show open beside it: path, and what the block stands for
    absent  paths of nodes that only the first network has
    places  path, number of its stage and of its block in the stage, where they differ from those of what is around
    """

    key: str
    label: str
    root: ViewData
    parameters: int
    macs: int | None
    takes: str
    gives: str
    facts: FactsData
    rules: list[RuleData]
    insets: list[tuple[str, str]]
    description: NotRequired[str]
    absent: NotRequired[list[str]]
    places: NotRequired[list[tuple[str, int | None, int | None]]]


class ProblemData(TypedDict):
    """A mistake: its message in a sentence, and its whole text as in a terminal."""

    path: str
    message: str
    text: str
    file: NotRequired[int]
    line: NotRequired[int]


class FileData(TypedDict):
    """The text of a spec file. `spans`: first line of a value -> its last line."""

    name: str
    text: str
    spans: dict[str, int]


class OperationData(TypedDict, total=False):
    """Facts about an operation from its docstring and its entry; its equations as trees of `mathml.lines`."""

    summary: str
    mechanism: bool
    kind: str
    math: list[Any]
    source: str
    departs: str
    link: str
    plugin: str


class TablesData(TypedDict):
    """Values that many nodes share, each written once; see `tables.Tables`."""

    tensors: list[Any]
    options: list[Any]
    weights: list[Any]
    contents: list[Any]
    codes: list[Any]
    operations: dict[str, OperationData]


class ModeData(TypedDict):
    """A number per node that colours boxes, and its scale; for its fields see `draw.values.Values`.

    least, most, log  ends of the scale, over all networks of the page
    fact              the numbers are these facts of the nodes
    numbers           or they are here: path in the first network -> number
    """

    key: str
    name: str
    words: str
    written: str
    unit: str
    adds: bool
    least: float
    most: float
    log: bool
    fact: NotRequired[str]
    numbers: NotRequired[dict[str, float | None]]
    tones: NotRequired[dict[str, tuple[str, str]]]


class RampData(TypedDict):
    """Colours from little to much, on light paper and on dark.

    fills  six hexadecimal digits per step
    turns  the first step with the other ink: white on light paper, black on dark
    """

    fills: tuple[str, str]
    turns: tuple[int, int]


class HistogramData(TypedDict):
    """The distribution of a tensor's numbers: 64 bins from `least` to `most`, each a byte of `bars` in base64.

    bars  heights in parts of the highest, 255, and at least 1 for a bin that holds anything; empty if all are equal
    lost  how many numbers are not finite; they count nowhere else
    """

    bars: str
    least: float
    most: float
    mean: float
    std: float
    lost: int


class ChangeData(TypedDict):
    """Equal changes on the page of a difference, with the paths of the nodes before and after."""

    kind: str
    nodes: str
    operation: str
    what: str
    parameters: int
    macs: int | None
    before: list[str]
    after: list[str]


class SharedData(TypedDict):
    """Data that views share. `characters` are widths in thousandths of the font size, regular and bold."""

    layouts: list[LayoutData]
    characters: list[dict[str, int]]


class PageData(SharedData):
    """The whole data of a page.

    open    paths of the containers that are open at the start
    modes   what boxes can be coloured by; `colour` is the one at the start, or `kind`
    ramp    colours from little to much
    histograms  name of a parameter of the first network -> its distribution
    facts   key of the network -> path of the node -> facts; other networks have only facts that differ from the first
    totals  on the page of a difference: name of a total, and its values before and after
    pairs   paths before and after of nodes that are in both networks; where a path is equal, or its block's pair and
            its name tell it, it is left out
    """

    name: str
    direction: Literal["TB", "LR"]
    networks: list[NetworkData]
    open: list[str]
    modes: list[ModeData]
    colour: str
    ramp: RampData
    rules: list[RuleData]
    facts: dict[str, dict[str, FactsData]]
    insides: list[InsideData]
    tables: TablesData
    problems: list[ProblemData]
    files: list[FileData]
    histograms: NotRequired[dict[str, HistogramData]]
    changes: NotRequired[list[ChangeData]]
    totals: NotRequired[list[Any]]
    pairs: NotRequired[list[tuple[str, str]]]
