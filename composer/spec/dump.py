"""Plain values -> YAML text that this package's loader reads back as the same values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from composer.spec.yaml import parse_value


class _Dumper(yaml.SafeDumper):
    """Quotes the strings that YAML 1.2 would read as other values; PyYAML follows YAML 1.1."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    safe = text.isidentifier() and parse_value(text) == text
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if safe else '"')


_Dumper.add_representer(str, _string)


def dump(value: Mapping[str, Any]) -> str:
    """The YAML text of a mapping of plain values, keys in their order.

    >>> print(dump({"name": "net", "scale": "1e-3", "depths": [3, 4]}), end="")
    name: net
    scale: "1e-3"
    depths: [3, 4]
    """
    style: dict[str, Any] = {"sort_keys": False, "default_flow_style": None, "allow_unicode": True, "width": 120}
    return str(yaml.dump(dict(value), Dumper=_Dumper, **style))


def flow(value: Any) -> str:
    """A plain value as YAML text in one line.

    >>> print(flow({"op": "conv2d", "from": ["0", "x.y"], "bias": True}))
    {op: conv2d, from: ["0", "x.y"], bias: true}
    """
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=True, allow_unicode=True, width=1 << 20)
    return text.removesuffix("\n").removesuffix("...").rstrip()
