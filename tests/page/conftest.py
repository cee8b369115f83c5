"""The networks and made-up views that pictures are tested with, and what pages hold."""

from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any

from draw.conftest import make, view_of

__all__ = ["data_in", "make", "view_of"]


def data_in(page: str) -> Any:
    """The data that the script of a page reads."""
    packed = re.search(r'<script type="application/octet-stream" id="data">([A-Za-z0-9+/=]*)</script>', page)
    assert packed is not None
    return json.loads(zlib.decompress(base64.b64decode(packed[1]), wbits=-zlib.MAX_WBITS))
