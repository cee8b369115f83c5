"""The sites of known families for which recognition is wrong, or for which composer's own networks name others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import yaml

from composer.dag.host import HostScope
from composer.dag.scope import Scope

FILE = Path(__file__).with_name("sites.yaml")


@cache
def shipped() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """The file: library and class, such as `timm.MaxxVitBlock` -> site -> globs."""
    found: Mapping[str, Mapping[str, Sequence[str]]] = yaml.safe_load(FILE.read_text())
    return found


def shipped_for(root: HostScope) -> Mapping[str, Sequence[str]]:
    """The sites for the classes in a recording and their bases; of two for a site, the later one in the file."""
    scopes: list[Scope] = [root, *(node.content for node in root.walk() if isinstance(node.content, Scope))]
    kinds = {kind for one in scopes if isinstance(one, HostScope) for kind in one.module.__mro__}
    classes = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in kinds}
    sites: dict[str, Sequence[str]] = {}
    for name, given in shipped().items():
        if name in classes:
            sites.update(given)
    return sites
