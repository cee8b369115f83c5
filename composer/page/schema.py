"""What the data of a page holds: all that its script reads, as plain JSON values.

`client/src/types.js` says the same to the script; a test compares both, and another the data of pages with this.
"""

# No `from __future__ import annotations`: with it, no key is known to be optional when Python runs.

from typing import Any, Literal, NotRequired, TypedDict

# A file and a line in it: files from 0, lines from 1.
Line = tuple[int, int]

# The ends of a node: a number in the table of tensors; of a block with several, each with its name.
_Ends = TypedDict("_Ends", {"in": NotRequired[list[Any]], "out": NotRequired[list[Any]]})


class FactsData(_Ends):
    """What a node is, where it comes from and what it costs; None of what is not known.

    options, weights, code, contents    numbers in the tables
    line, defined                       where it is written, and the block that it is
    """

    op: str
    kind: str
    parameters: int
    macs: int | None
    memory: NotRequired[int]
    seconds: NotRequired[float]
    line: NotRequired[Line]
    defined: NotRequired[Line]
    rule: NotRequired[int]
    sites: NotRequired[tuple[str, ...]]
    options: NotRequired[int]
    weights: NotRequired[int]
    code: NotRequired[int]
    contents: NotRequired[int]
    state: NotRequired[Literal["failed", "unreached"]]


class BoxData(TypedDict):
    """What a box is, and what it says when it is closed; what is empty is left out.

    look    classes of the style sheet, when it is closed
    shapes  what it gives, by output
    row     what stands under its name; `lines`, its problem in short lines; `pills`, what rules put inside
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


class ViewData(TypedDict):
    """What is in a container.

    inputs   names and shapes
    layouts  numbers of layouts: with every box in it closed; and, if that is something else, as it is at first
    shapes   of its nets, in the order of the layouts
    """

    path: str
    inputs: list[tuple[str, str]]
    outputs: list[str]
    boxes: list[BoxData]
    layouts: list[int]
    shapes: list[str]


class LayoutData(TypedDict):
    """Where everything in a container stands, in pixels from its upper left corner. Items are its inputs, boxes and
    outputs, in this order.

    items   left, top, width and height; an input or output on a frame is a point
    nets    the item and the output that gives each tensor
    wires   net, the item and the input that takes it, and then left and top of each point
    labels  of shapes: net, left, base line, whether `left` is its end (1), and how far from the item words reach
    """

    size: tuple[int, int]
    items: list[tuple[int, int, int, int]]
    nets: list[tuple[int, int]]
    wires: list[list[int]]
    labels: list[tuple[int, int, int, int, int]]


class RuleData(TypedDict):
    """An attention rule: what it does where, in how many places, and what that costs."""

    number: int
    use: str
    where: str
    places: int
    condition: NotRequired[str | bool]
    start: NotRequired[str]
    file: NotRequired[int]
    line: NotRequired[int]
    parameters: NotRequired[int]
    macs: NotRequired[int | None]


class NetworkData(TypedDict):
    """A network. `absent` are paths of nodes that the first network has and this one has not."""

    key: str
    label: str
    root: ViewData
    parameters: int
    macs: int | None
    takes: str
    gives: str
    facts: FactsData
    rules: list[RuleData]
    absent: NotRequired[list[str]]


class ProblemData(TypedDict):
    """A mistake: in one sentence, and as a terminal prints it."""

    path: str
    message: str
    text: str
    file: NotRequired[int]
    line: NotRequired[int]


class FileData(TypedDict):
    """A text of a spec. `spans` says on which line that ends which begins on a line."""

    name: str
    text: str
    spans: dict[str, int]


class OperationData(TypedDict, total=False):
    """What the docstring of an operation says."""

    summary: str
    mechanism: bool
    kind: str
    math: str
    source: str
    departs: str
    link: str
    plugin: str


class TablesData(TypedDict):
    """What is said of many nodes, written once; see `tables.Tables`."""

    tensors: list[Any]
    options: list[Any]
    weights: list[Any]
    contents: list[Any]
    codes: list[Any]
    operations: dict[str, OperationData]


class ChangeData(TypedDict):
    """Changes of one sort on the page of a difference, with the paths of the nodes before and after."""

    kind: str
    nodes: str
    operation: str
    what: str
    parameters: int
    macs: int | None
    before: list[str]
    after: list[str]


class SharedData(TypedDict):
    """What views refer to. `characters` are widths in thousandths of the size, regular and bold."""

    layouts: list[LayoutData]
    characters: list[dict[str, int]]


class PageData(SharedData):
    """Everything.

    open    paths of the containers that are open at first
    facts   by key of the network and path of the node; of further networks, what differs from the first
    totals  of a difference: a name, and its numbers before and after
    """

    name: str
    direction: Literal["TB", "LR"]
    networks: list[NetworkData]
    open: list[str]
    rules: list[RuleData]
    facts: dict[str, dict[str, FactsData]]
    tables: TablesData
    problems: list[ProblemData]
    files: list[FileData]
    changes: NotRequired[list[ChangeData]]
    totals: NotRequired[list[Any]]
