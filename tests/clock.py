"""How long something takes, for tests that hold it against something else: machines are slow and shared."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def cpu_time(call: Callable[[], Any]) -> float:
    """Seconds of this process's CPU time that a call takes."""
    start = time.process_time()
    call()
    return time.process_time() - start
