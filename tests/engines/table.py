"""Runs the battery of engines and prints it as a table, engine by network, to be kept as examples/tables/engines.md:

python -m tests.engines.table [--quick]
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = (
    *("test_tracing.py", "test_counting.py", "test_adapting.py"),
    *("test_distributed.py", "test_trainers.py", "test_wrappers.py", "test_explaining.py"),
)
PACKAGES = (
    *("torch", "torchvision", "timm", "onnx", "onnxruntime", "peft", "torchao"),
    *("thop", "ptflops", "fvcore", "calflops", "torchinfo"),
    *("lightning", "accelerate", "transformers", "segmentation-models-pytorch", "captum", "grad-cam"),
)

OF_TIMMS = """\
Where an engine does not see the same in both, the tests say exactly what, and demand the rest:

- thop, ptflops and `quantize_dynamic` go by exact class. They pass over what timm derives from torch's: every
  `BatchNormAct2d` and the classifier of MobileNetV3, every `LayerNorm` of ViT. Told what these classes are, thop and
  ptflops count the same in both. Of composer's layers they pass over one, the global pooling.
- ptflops has a rule for timm's attention, for which it leaves out its projections; it counts torch's pooling twice.
- fvcore and calflops count a pooling and pass over a mean, which timm's Swin takes in its place.
- torchinfo counts a linear map once for each of its first axis: images in composer's Swin, windows in timm's. It counts
  innermost layers only, and so no `BatchNormAct2d`.
- PT2E leaves the weight of timm's MobileNetV3's classifier in float, for its class, and refuses timm's CBAM, whose
  perceptron runs twice; composer's runs once, on both pooled vectors.
- timm's Swin is told to use torch's fused attention, as composer's does."""


class Outcomes:
    """A pytest plugin that keeps what became of each test, by its id."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the outcome of a call, and of a set-up that never came to one."""
        if report.when == "call" or report.outcome != "passed":
            self.found[report.nodeid] = _outcome(report)


def _outcome(report: pytest.TestReport) -> str:
    if report.outcome == "passed":
        return "pass"
    if report.outcome == "skipped":
        return f"skipped: {report.longrepr[2].removeprefix('Skipped: ')}"
    crash = getattr(report.longrepr, "reprcrash", None)
    reason = (crash.message if crash else str(report.longrepr)).splitlines()[0]
    return "fails: " + reason.replace("|", "\\|")


def lines(found: dict[str, str], quick: bool) -> Iterable[str]:
    """The table in Markdown, from the outcomes of the tests by their ids."""
    # Only now: pytest is not to find its plugins' modules imported before it.
    from .networks import NETWORKS

    rows: dict[tuple[int, str], dict[str, str]] = defaultdict(dict)
    for node, outcome in found.items():
        file, name, given = re.fullmatch(r"(?:.*/)?(\w+\.py)::test_(\w+)(?:\[(.*)\])?", node).groups("")
        words = given.split("-") if given else []
        # A test of no network's is one of the first.
        network = next((one.name for one in NETWORKS if one.name in words), NETWORKS[0].name)
        title = ": ".join([name.replace("_", " "), *(word for word in words if word != network)])
        rows[FILES.index(file), title][network] = outcome
    ran = [one for one in NETWORKS if any(one.name in row for row in rows.values())]
    yield "# Engines\n"
    yield "What each test of `tests/engines` found in each network. The control of each is timm's network with the same"
    yield "weights, which computes the same to the last bit, or, with CBAM, but for the order of its sums. What engines"
    yield "find in composer's they find in timm's: counts are equal, and so are outputs behind LoRA and quantisers."
    yield f"Made by `python -m tests.engines.table{' --quick' * quick}`; a cell without a word was not run.\n"
    yield f"Networks, and the images they saw: {', '.join(f'{one.name} {one.size}×{one.size}' for one in ran)}.\n"
    yield f"| test | {' | '.join(one.name for one in ran)} |"
    yield "|---" * (len(ran) + 1) + "|"
    for (_, title), row in sorted(rows.items()):
        yield f"| {title} | {' | '.join(row.get(one.name, '') for one in ran)} |"
    yield f"\n{OF_TIMMS}"
    yield f"\nVersions: {', '.join(f'{name} {version(name)}' for name in PACKAGES)}."


def main() -> None:
    """Run the tests and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.engines.table")
    parser.add_argument("--quick", action="store_true", help="only the networks of every test run")
    parser.add_argument("--workers", default="2", help="processes")
    options = parser.parse_args()
    outcomes = Outcomes()
    marks = "not slow" if options.quick else "slow or not slow"
    files = [str(HERE / file) for file in FILES]
    with contextlib.redirect_stdout(sys.stderr):
        pytest.main(["-n", options.workers, "-m", marks, *files], plugins=[outcomes])
    print("\n".join(lines(outcomes.found, options.quick)))


if __name__ == "__main__":
    main()
