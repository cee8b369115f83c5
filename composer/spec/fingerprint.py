"""A hash of what a spec says, in whatever way its text is laid out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from composer.errors import Source
from composer.spec.dump import dump
from composer.spec.yaml import read


def fingerprint(written: Mapping[str, Any]) -> str:
    """The SHA-256 of the values of a spec, but for its `lock`, in hexadecimal.

    written  the spec as plain values, from a file or from Python

    >>> fingerprint({"name": "net", "strides": (1, 2)}) == fingerprint({"name": "net", "strides": [1, 2], "lock": {}})
    True
    >>> fingerprint({"name": "net"}) == fingerprint({"name": "ten"})
    False
    """
    spec = {key: value for key, value in written.items() if key != "lock"}
    # Values from Python become those that a file of them has.
    plain = read(Source("<spec>", dump(json.loads(json.dumps(spec))))).plain()
    return hashlib.sha256(json.dumps(plain, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()
