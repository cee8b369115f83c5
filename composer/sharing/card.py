"""The model card of a network: what it is, what it costs, where it is from, and how to load it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from composer.amounts import size, thousands
from composer.errors import Diagnostic, UnavailableError
from composer.lines import markdown_table
from composer.spec.dump import dump

if TYPE_CHECKING:
    from composer.dag.composition import Composition

LIBRARY = "attention-composer"


@dataclass(frozen=True)
class Told:
    """What a card says beside the network.

    weights  where the weights are from, in a sentence
    picture  the name of the picture's file
    plugins  names of files of plugins, and of packages that are plugins
    license  a license of the hub's list, such as `apache-2.0`; None to say nothing
    repo     the repository as `hf:USER/NAME`; None if there is none
    """

    weights: str
    picture: str
    plugins: Mapping[str, Any]
    license: str | None = None
    repo: str | None = None


def card(graph: Composition, told: Told) -> str:
    """The card as Markdown, its front matter as the hub reads it. Raises UnavailableError without the extra `hf`."""
    return f"---\n{_front(graph, told)}\n---\n\n" + "\n".join(_body(graph, told)) + "\n"


def pipeline_of(graph: Composition) -> str:
    """The hub's name for what a network does, by its inputs and outputs.

    >>> from composer import compose
    >>> [pipeline_of(compose(name)) for name in ("resnet18", "video/r3d_18", "segmentation/unet")]
    ['image-classification', 'video-classification', 'image-segmentation']
    """
    first = next(iter(graph.root.inputs.values()))
    layouts = [one.layout for one in graph.outputs.values()]
    if layouts == ["b c"] and graph.head is not None:
        return "video-classification" if len(first.shape) == 5 else "image-classification"
    if layouts == ["b c h w"] and graph.head is not None:
        return "image-segmentation"
    return "image-feature-extraction"


def _front(graph: Composition, told: Told) -> str:
    try:
        from huggingface_hub import ModelCardData
    except ImportError as error:
        text = "a model card needs the package `huggingface_hub`"
        help = ("pip install 'attention-composer[hf]'",)
        raise UnavailableError(Diagnostic("extra", text, label="an extra of composer", help=help)) from error
    used = sorted({rule.use for rule, _ in graph.spec.every_rule if rule.use and rule.use.isidentifier()})
    data = ModelCardData(
        library_name=LIBRARY,
        license=told.license,
        pipeline_tag=pipeline_of(graph),
        tags=[LIBRARY, "pytorch", *(["attention"] if used else []), *used],
    )
    return str(data.to_yaml())


def _body(graph: Composition, told: Told) -> Iterator[str]:
    spec = graph.spec
    yield f"# {plain(spec.name)}"
    if spec.description:
        yield f"\n{plain(spec.description)}"
    yield f"\n![The network {plain(spec.name)}, drawn by composer]({told.picture})\n"
    yield markdown_table(("", "whole", "by attention"), list(_costs(graph)), (False, True, True))
    yield ""
    yield from (f"- input `{name}`: `{tensor}`" for name, tensor in graph.root.inputs.items())
    yield from (f"- output `{name}`: `{tensor}`" for name, tensor in graph.outputs.items())
    yield f"- weights: {told.weights}"
    yield from _attention(graph)
    yield from _published(graph)
    yield from _loading(told)
    if sources := list(_papers(graph)):
        yield "\n## Papers\n"
        yield from (f"- {one}" for one in sources)
    yield "\nWritten by composer. The `.lock.yaml` is the whole network as a spec, with the hashes of the other files."


def _costs(graph: Composition) -> Iterator[tuple[str, str, str]]:
    from composer.dag.macs import growth
    from composer.summary import summarise

    summary = summarise(graph)
    whole, before = summary.cost, summary.plain
    for name, now, was in (
        ("parameters", whole.parameters, before.parameters),
        ("multiply-accumulates for one example", whole.macs, before.macs),
    ):
        grown = growth(now, was)
        yield name, thousands(now), "" if grown is None or not graph.added else thousands(grown, signed=True)
    grown = growth(whole.memory, before.memory)
    more = "" if grown is None or not graph.added else size(grown, signed=True)
    yield "memory of one more example in a training step", size(whole.memory), more


def _attention(graph: Composition) -> Iterator[str]:
    if not graph.added:
        return
    yield "\n## Attention\n"
    rows = [
        (
            f"`{plain(one.rule.use or '')}`",
            f"`{one.rule.position} {plain(str(one.rule.selector))}`",
            str(len(one.places)),
            thousands(one.parameters, signed=True),
            thousands(one.macs, signed=True),
        )
        for one in graph.added
    ]
    heads = ("mechanism", "at", "places", "parameters", "multiply-accumulates")
    yield markdown_table(heads, rows, (False, False, True, True, True))
    rules = graph.spec.to_mapping().get("attention")
    if rules:
        yield f"\n```yaml\n{dump({'attention': rules}).rstrip().replace('```', '')}\n```"


def _published(graph: Composition) -> Iterator[str]:
    found = graph.spec.published
    if found is None:
        return
    yield "\n## Published result\n"
    yield f"The paper's figures for this network ({plain(found.table)}), **not** measured with these weights:"
    yield f"{plain(found.architecture)} with {plain(found.mechanism)}, ImageNet top-1 {found.top1} %."


def _loading(told: Told) -> Iterator[str]:
    yield "\n## Use\n"
    yield "```sh"
    yield "pip install attention-composer"
    if told.repo:
        yield f"composer pull {told.repo} -o network"
    yield "```\n\n```python"
    folder = "network" if told.repo else "."
    code = [name for name in told.plugins if name.endswith(".py")]
    yield "import composer\n"
    yield f'model = composer.from_folder("{folder}"{", allow_code=True" if code else ""}).eval()'
    yield "```"
    if code:
        yield f"\n**This network runs code**: {', '.join(f'`{name}`' for name in code)}. Read it before you allow it."
    if packages := [plain(name) for name in told.plugins if "/" not in name]:
        yield f"\nIt needs these packages, which register its operations: {', '.join(f'`{one}`' for one in packages)}."


def _papers(graph: Composition) -> Iterator[str]:
    """Where the network's attention is from, each mechanism once."""
    found = {}
    for node in graph.root.walk():
        entry = node.content.entry if node.content is not None else None
        # The lines of `Source:`, up to the next word with a colon or an empty line.
        cited = re.search(r"^Source:\s+(.+(?:\n[ \t]+\S.*)*)", entry.doc, re.MULTILINE) if entry is not None else None
        if entry is not None and entry.category == "mechanism" and cited is not None:
            found[entry.name] = f"`{entry.name}`: {plain(cited[1])}"
    yield from found.values()


def plain(text: str) -> str:
    """A text in one line in which Markdown and HTML do nothing."""
    line = " ".join(text.split())
    return "".join(f"\\{one}" if one in "\\`*[]<>|#!" else one for one in line)
