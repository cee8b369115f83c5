"""The parts of a mechanism's docstring: its maths, cost, source and more."""

from __future__ import annotations

import re

SECTIONS = ("Shape", "Math", "Params", "MACs", "Source", "Departs", "Start")

_HEAD = re.compile(rf"({'|'.join(SECTIONS)}):\s+(.*)")
_ARXIV = re.compile(r"arXiv:([0-9]{4}\.[0-9]{4,5}(?:v[0-9]+)?)\b")
_DOI = re.compile(r"\bdoi:(10\.[0-9]{4,9}/[A-Za-z0-9._;()/-]+)", re.IGNORECASE)


def sections(doc: str) -> dict[str, str]:
    """Name -> text of the parts that the docstring has; continuation lines are kept, without their indent.

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
    """The link to a paper, from the arXiv number or DOI in its source; None without either.

    >>> link("Hu et al., CVPR 2018. arXiv:1709.01507")
    'https://arxiv.org/abs/1709.01507'
    """
    if arxiv := _ARXIV.search(source):
        return f"https://arxiv.org/abs/{arxiv[1]}"
    if doi := _DOI.search(source):
        return f"https://doi.org/{doi[1].rstrip('.')}"
    return None
