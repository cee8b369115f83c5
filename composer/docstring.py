"""The parts of a docstring that say what a mechanism computes, what it costs, and whose it is."""

from __future__ import annotations

import re

SECTIONS = ("Shape", "Math", "Params", "MACs", "Source", "Departs", "Start")

_HEAD = re.compile(rf"({'|'.join(SECTIONS)}):\s+(.*)")
_ARXIV = re.compile(r"arXiv:([0-9]{4}\.[0-9]{4,5}(?:v[0-9]+)?)\b")
_DOI = re.compile(r"\bdoi:(10\.[0-9]{4,9}/[A-Za-z0-9._;()/-]+)", re.IGNORECASE)


def sections(doc: str) -> dict[str, str]:
    """The parts by name, those that it has; lines that go on are kept, without their indent.

    >>> sections("Gates.\\n\\nMath:    y = x * g\\n         g = 1\\nSource:  Hu et al. arXiv:1709.01507\\n\\nMore.")
    {'Math': 'y = x * g\\ng = 1', 'Source': 'Hu et al. arXiv:1709.01507'}
    """
    found: dict[str, list[str]] = {}
    current = None
    for line in doc.splitlines():
        if head := _HEAD.fullmatch(line.rstrip()):
            current = head[1]
            found[current] = [head[2].strip()]
        elif current is not None and line.startswith("  "):
            found[current].append(line.strip())
        else:
            current = None
    return {name: "\n".join(lines) for name, lines in found.items()}


def link(source: str) -> str | None:
    """Where a paper can be read, of a source that names its arXiv number or its DOI.

    >>> link("Hu et al., CVPR 2018. arXiv:1709.01507")
    'https://arxiv.org/abs/1709.01507'
    """
    if arxiv := _ARXIV.search(source):
        return f"https://arxiv.org/abs/{arxiv[1]}"
    if doi := _DOI.search(source):
        return f"https://doi.org/{doi[1].rstrip('.')}"
    return None
