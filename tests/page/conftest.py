"""The networks and made-up views that pictures are tested with, and what pages hold."""

from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any

from draw.conftest import make, view_of

__all__ = ["data_in", "make", "unpacked", "view_of"]


def data_in(page: str) -> Any:
    """The data that the script of a page reads."""
    return json.loads(unpacked(page, "data"))


def unpacked(page: str, name: str) -> str:
    """What an element of a page holds packed."""
    found = re.search(rf'<script type="application/octet-stream" id="{name}">([A-Za-z0-9+/=]*)</script>', page)
    assert found is not None
    return zlib.decompress(base64.b64decode(found[1]), wbits=-zlib.MAX_WBITS).decode()
