"""A process that builds a network, runs a pass, and prints how many bytes more that takes at its peak.

    python -m composer.benchmark.child [PLUGIN …] < work

`work` is what `composer.benchmark.memory` writes: spec, pass and settings.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import gc
import pickle
import re
import resource
import sys
from pathlib import Path

from composer import registry
from composer.benchmark.contestant import Contestant, modes
from composer.benchmark.settings import Pass, Settings
from composer.dag.composition import Composition
from composer.spec.spec import Spec

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def main() -> None:
    """Read the work, do it and print the bytes."""
    for path in sys.argv[1:]:
        registry.load_plugin(path)
    spec, kind, settings = pickle.loads(base64.b64decode(sys.stdin.read()))
    print(grown(spec, kind, settings))


def grown(spec: Spec, kind: Pass, settings: Settings) -> int:
    """Bytes of this process at the peak of a pass, less those before it.

    One pass comes first: it loads libraries, and prepares what stays for all passes.
    """
    with settings.applied():
        contestant = Contestant.of_graph(Composition.of(spec), settings)
        if settings.compile:
            contestant = contestant.compiled()
        modes([contestant], kind)
        contestant.run(kind)
        contestant.model.zero_grad(set_to_none=True)
        gc.collect()
        _give_back()
        before = _start()
        contestant.run(kind)
    return max(0, _peak() - before)


def _give_back() -> None:
    """Give freed memory back to the system, where its library can."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _start() -> int:
    """The bytes that are taken now; the peak is counted from here on, where the system can."""
    with contextlib.suppress(OSError):
        RESET.write_text("5")
    return _status("VmRSS") or _highest()


def _peak() -> int:
    return _status("VmHWM") or _highest()


def _status(word: str) -> int:
    """A number of bytes of Linux's account of this process; 0 elsewhere."""
    if not STATUS.exists():
        return 0
    found = re.search(rf"^{word}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _highest() -> int:
    """The most bytes that this process ever took."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main()
