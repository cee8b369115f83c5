"""What people do with a viewer of networks, who can do it, and how composer does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

YES, PARTLY = "✓", "(✓)"
_CBAM = "graph papers/cbam/resnet50"


@dataclass(frozen=True)
class Feature:
    """A row of the table.

    words    what one can do
    others   viewer -> its cell; without a cell it cannot
    how      how it is done in composer; where composer is behind, why
    picture  name of a screenshot; empty for none
    command  what makes the file that it shows; `fragment` and `steps` (JavaScript) then choose what is seen
    """

    words: str
    others: Mapping[str, str]
    how: str
    ours: str = YES
    picture: str = ""
    command: str = _CBAM
    fragment: str = ""
    steps: tuple[str, ...] = field(default=())
    is_picture: bool = False


def _all(cell: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, cell)


_ME, _NETRON, _TB, _VISTA, _VIEW = "Model Explorer", "Netron", "TensorBoard", "torchvista", "torchview"
_OPEN = "composer.store.select('{0}', {{ reveal: true }})"
_TOGGLE = (
    "document.querySelector('#drawing [data-path=\"{0}\"] > .toggle')"
    ".dispatchEvent(new MouseEvent('click', {{ bubbles: true }}))"
)

FEATURES = (
    Feature(
        "see how a block works before clicking anything",
        _all(PARTLY, _NETRON, _VIEW),
        "a block of each family stands open beside the network; Netron and torchview draw all operations in a row",
        picture="first",
    ),
    Feature("open and close blocks", _all(YES, _ME, _TB, _VISTA), "by the button, Enter or a double click"),
    Feature(
        "see equal blocks once, with their number",
        {_ME: PARTLY, _TB: PARTLY},
        "`×5`, and every copy can be asked for; Model Explorer highlights equal layers, TensorBoard colours them",
    ),
    Feature(
        "see what tells equal-looking blocks apart",
        {},
        "`bottleneck, projection, stride 2` and `bottleneck, identity`",
        picture="apart",
        fragment="#o=layer2",
    ),
    Feature(
        "open a mechanism down to its operations",
        _all(YES, _ME, _NETRON, _TB, _VISTA),
        "closed until asked for; the others draw operations of PyTorch or ONNX throughout",
        picture="steps",
        steps=(_OPEN.format("layer1.0.cbam"), _TOGGLE.format("layer1.0.cbam")),
    ),
    Feature(
        "shapes at the wires", _all(YES, _ME, _NETRON, _TB, _VISTA, _VIEW), "always; in Model Explorer by a switch"
    ),
    Feature(
        "parameters, MACs and memory of each node",
        {_VISTA: PARTLY},
        "in the panel, summed up for blocks; torchvista tells parameters",
        picture="panel",
        steps=(_OPEN.format("layer4.0.conv2"),),
    ),
    Feature(
        "colour by a number of each node",
        {_ME: YES, _TB: PARTLY},
        "`--color-by macs`; TensorBoard by device, and by time where it was profiled",
        picture="colours",
        command=f"{_CBAM} --color-by macs",
    ),
    Feature(
        "numbers of one's own on the nodes",
        {_ME: YES},
        "`--values FILE`, in Model Explorer's format",
        picture="values",
        command="graph resnet18 --values values.json --color-by values",
    ),
    Feature(
        "activations, gradients, distributions of weights",
        {_NETRON: PARTLY},
        "`--image`, `--weights`; Netron shows the numbers of weights",
        picture="activations",
        command="graph resnet18 --image cat.jpg --color-by std",
    ),
    Feature(
        "what differs between two networks",
        {_ME: PARTLY},
        "`composer diff A B -o x.html`; Model Explorer shows two graphs beside each other, without what differs",
        picture="diff",
        command="diff resnet50 papers/cbam/resnet50",
    ),
    Feature(
        "trace what a node depends on, or what depends on it",
        {_ME: PARTLY, _TB: PARTLY},
        "`t`; Model Explorer marks neighbours, TensorBoard inputs",
        picture="trace",
        steps=(
            _OPEN.format("layer2.0.downsample"),
            "[...document.querySelectorAll('#panel button')].find(one => one.textContent === 'Upstream').click()",
        ),
    ),
    Feature(
        "find nodes",
        _all(YES, _ME, _NETRON, _TB),
        "by words, and by what `where` says: `kind == 'conv' and channels >= 512`. No regular expressions: names have "
        "globs and words",
        picture="found",
        steps=(
            "(() => { const query = document.getElementById('query');"
            " query.value = \"kind == 'conv' and channels >= 512\"; query.focus();"
            " query.dispatchEvent(new Event('input', { bubbles: true })); })()",
        ),
    ),
    Feature(
        "the line of code or of the spec of a node",
        {},
        "a click leads to the line, and from a line to its nodes",
    ),
    Feature(
        "equation, paper, and departures from it",
        {},
        "in the panel, as MathML",
        picture="equation",
        steps=(_OPEN.format("layer2.0.cbam"),),
    ),
    Feature(
        "a link that reproduces the view",
        {_ME: PARTLY},
        "in the address, also of a file on a disk; Model Explorer has bookmarks in one browser",
    ),
    Feature(
        "a picture of the view",
        {_ME: PARTLY, _NETRON: YES, _TB: PARTLY, _VISTA: YES, _VIEW: YES},
        "SVG and PNG from the page; Model Explorer and TensorBoard PNG alone",
    ),
    Feature(
        "a figure of a given width for a paper, TikZ",
        {},
        "`--width 8cm`, `-o figure.tex`",
        picture="figure",
        command=f"{_CBAM} --width 8cm",
        is_picture=True,
    ),
    Feature(
        "a model that fails, drawn up to where it fails",
        {_VISTA: YES},
        "the node in red, with its error",
        picture="mistake",
        command="graph broken.yaml",
    ),
    Feature(
        "a picture that follows what is typed",
        {_ME: PARTLY},
        "`composer watch`, `composer lsp`; Model Explorer's `--watch` reads a changed file again",
    ),
    Feature(
        "a model of PyTorch without exporting it",
        _all(YES, _VISTA, _VIEW),
        "`composer.view(model, image)`, `composer graph timm:NAME`",
    ),
    Feature(
        "ONNX and `.pt2` files",
        {_ME: PARTLY, _NETRON: YES},
        "`composer graph net.onnx`, read without running anything in it; Model Explorer has `.pt2`",
        picture="onnx",
        command="graph net.onnx",
    ),
    Feature(
        "files of other frameworks: TFLite, Keras, Core ML …",
        {_ME: PARTLY, _NETRON: YES},
        "composer is about networks of PyTorch; Netron reads more than thirty formats",
        ours="",
    ),
    Feature(
        "one file that needs no server and no network",
        _all(YES, _VISTA, _VIEW),
        "a page is one file; it asks for nothing",
    ),
    Feature(
        "a hundred thousand nodes",
        {_ME: YES},
        "10,000 at most by default: a page is SVG, which readers of screens can read; Model Explorer draws by WebGL",
        ours=PARTLY,
    ),
    Feature("keyboard alone, and a reader of screens", {}, "a tree whose nodes say what they are; see below"),
)
