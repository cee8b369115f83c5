"""The docstring of a file: what the network is, what rules put where, the papers, and how it is used."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from composer import __version__
from composer.amounts import plural
from composer.dag.composition import Composition
from composer.ejecting.words import rule_in_words, told
from composer.registry import BlockEntry, Entry

_WIDTH = 116


def head(
    network: Composition, name: str, source: str, *, first: str = "num_classes=10", imports: str = "torch"
) -> list[str]:
    """The lines of the docstring.

    network  the network
    name     its class
    source   what was ejected, as the user wrote it
    """
    title = f"{told(network.spec.name)}, one file, plain PyTorch."
    made = f"Ejected by composer {__version__} from `{told(source)}`."
    lines = [f'"""{title} {made}', ""] if len(title) + len(made) < _WIDTH else [f'"""{title}', "", made, ""]
    lines += [f"    {one}" for one in _wrapped(", ".join(_amounts(network)), "")]
    lines += [f"    {one}" for rule in _rules(network) for one in _wrapped(rule, "    ")]
    papers = list(_papers(network))
    if papers:
        lines.append("")
        for kind, text in papers:
            lines += _wrapped(f"{kind:<11}{text}", " " * 11)
    lines.append("")
    keys = "Keys of the state_dict are those of the composed network"
    lines += _wrapped(f"{keys}{_beside(network)}. Needs {imports} alone.", "")
    lines += [
        "",
        f"    model = {name}({first})",
        f'    model.load_state_dict(torch.load("{_stem(network)}.pth", weights_only=True))',
    ]
    return [*lines, '"""']


def _stem(network: Composition) -> str:
    return re.sub(r"[^\w.-]", "_", network.spec.name)


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(told(text), _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _amounts(network: Composition) -> Iterator[str]:
    yield f"{network.num_parameters:,} parameters"
    sizes = " and ".join(" × ".join(map(str, one.shape)) for one in network.spec.inputs.values())
    if network.num_macs is not None:
        yield f"{network.num_macs:,} MACs at {sizes}"
    else:
        yield f"input {sizes}"


def _rules(network: Composition) -> Iterator[str]:
    for number, added in enumerate(network.added, 1):
        places = plural(len(added.places), "place")
        yield f"rule {number}: {rule_in_words(added.rule)}, {places}, {added.parameters:+,} parameters"


def _papers(network: Composition) -> Iterator[tuple[str, str]]:
    backbone = network.spec.files[-1].origin.document.comment
    first = re.split(r"(?<! al)\. (?=[A-Z`])", " ".join(backbone.split()), maxsplit=1)[0] if backbone else ""
    if first and re.search(r"\d{4}", first):
        yield "Backbone", first.rstrip(".") + "."
    seen: dict[str, None] = {}
    for node in network.root.walk():
        entry: Entry | None = node.entry
        named = entry is not None and not isinstance(entry, BlockEntry) and entry.category == "mechanism"
        if entry is not None and named and (source := _source(entry.doc)):
            seen.setdefault(source)
    for index, source in enumerate(seen):
        yield "Attention" if index == 0 else "", source


def _source(doc: str) -> str:
    found = re.search(r"^Source:\s+(.*(?:\n {6,}.*)*)", doc, re.MULTILINE)
    return " ".join(found[1].split()) if found else ""


def _beside(network: Composition) -> str:
    files = network.spec.files
    plain = files[1].content.name if len(files) > 1 else None
    added = {node.name for node in network.root.walk() if node.rule is not None and node.role == "used"}
    if not added or plain is None or len(added) > 3:
        return ""
    return f": those of `{plain}`, and {', '.join(f'`*.{one}.*`' for one in sorted(added))}"
