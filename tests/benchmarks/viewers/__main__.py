"""Writes examples/tables/viewers.md and its screenshots. Run it: python -m tests.benchmarks.viewers

Needs, beside composer's extra `test`: pip install ai-edge-model-explorer netron tensorboard torchview torchvista, the
program `dot`, and Chromium. Where the others are installed apart, `--python` names that environment's interpreter.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import composer
from tests.benchmarks.viewers.features import FEATURES
from tests.benchmarks.viewers.opening import ratio
from tests.benchmarks.viewers.others import OTHERS, prepared, serving
from tests.benchmarks.viewers.photograph import Camera
from tests.browser.chromium import executable, started

REPOSITORY = Path(__file__).parents[3]
PICTURES = REPOSITORY / "examples/pictures/viewers"
TABLE = REPOSITORY / "examples/tables/viewers.md"
HEAD = """# Viewers of networks

composer's pages beside five viewers that people use, all of them run on CBAM-ResNet-50 and looked at, in one Chromium
of 1440 × 900. The first screens, as each opens: {first}. Made by `python -m tests.benchmarks.viewers`, which takes all
pictures anew; what the others can do was tried by hand in the versions named here, {versions}.

✓: it can; (✓): in part, as the note says; a picture shows how composer does it.
"""

BROKEN = """\
input: [3, 64, 64]
nodes:
  stem: {op: conv2d, out_channels: 24, kernel_size: 3, stride: 2}
  act: relu
  wide: {op: conv2d, from: act, out_channels: 32, kernel_size: 1}
  shortcut: {op: add, from: [wide, act]}
  head: {op: conv2d, out_channels: 8, kernel_size: 1}
"""


def main() -> None:
    """Take the pictures, count what axe finds, time the opening of 10,000 nodes, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has the other viewers")
    parser.add_argument("--runs", type=int, default=5, help="how often each opens the network of 10,000 nodes")
    given = parser.parse_args()
    program = executable()
    if program is None:
        parser.error("there is no Chromium")
    with tempfile.TemporaryDirectory() as folder, started(program) as browser:
        camera = Camera(browser, PICTURES, Path(folder))
        write_subjects(Path(folder))
        versions = prepared(given.python, Path(folder))
        with serving(given.python, Path(folder)) as addresses:
            grave = {name: camera.first_screen(name, addresses[name]) for name in OTHERS}
        times = ratio(browser, given.python, Path(folder), given.runs)
        grave["composer"] = camera.first_screen_of_composer()
        for feature in FEATURES:
            camera.take(feature)
    TABLE.write_text(table(versions, grave, times), encoding="utf-8")


def write_subjects(folder: Path) -> None:
    """What the commands of `FEATURES` read: a photograph, somebody's numbers, and a network with a mistake."""
    shutil.copy(REPOSITORY / "examples/cat.jpg", folder)
    graph = composer.graph("resnet18")
    norms = [node.path for node, _ in graph.operations if node.op == "batch_norm"]
    results = {path: {"value": round(1 / (1 + index), 3)} for index, path in enumerate(norms)}
    (folder / "values.json").write_text(json.dumps({"results": results}), encoding="utf-8")
    (folder / "broken.yaml").write_text(BROKEN, encoding="utf-8")


def table(versions: dict[str, str], grave: dict[str, int | None], times: str) -> str:
    """The page: a row for each feature, then what was measured."""
    names = ("composer", *OTHERS)
    first = ", ".join(f"[{name}](../pictures/viewers/{file_of(name)})" for name in names)
    lines = [
        HEAD.format(first=first, versions=", ".join(f"{name} {version}" for name, version in versions.items())),
        f"| | {' | '.join(names)} | how, in composer |",
        f"|---|{':---:|' * len(names)}---|",
    ]
    for feature in FEATURES:
        cells = [feature.ours, *(feature.others.get(name, "") for name in OTHERS)]
        shown = f" · [picture](../pictures/viewers/{feature.picture}.png)" if feature.picture else ""
        lines.append(f"| {feature.words} | {' | '.join(cells)} | {feature.how}{shown} |")
    counts = " | ".join("–" if grave[name] is None else str(grave[name]) for name in names)
    lines.append(
        f"| serious and critical findings of axe-core on the first screen | {counts} | –: it lets no other script in |"
    )
    lines += ["", times, ""]
    return "\n".join(lines)


def file_of(name: str) -> str:
    """The picture of a viewer's first screen."""
    return f"{name.lower().replace(' ', '_')}.png"


if __name__ == "__main__":
    main()
