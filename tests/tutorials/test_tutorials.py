"""Every tutorial runs from top to bottom in an empty folder, in a minute, and leaves its picture."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
QUICK = ("4_your_own_model",)
# Seconds of a processor, those of all processes together.
MOST = 60


def _script():
    spec = importlib.util.spec_from_file_location("tutorial_notebooks", ROOT / "examples/tutorials/notebooks.py")
    module = importlib.util.module_from_spec(spec)
    # Its dataclass looks its own module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


notebooks = _script()
PAGES = notebooks.tutorials()

# Runs the blocks in one process: reads them as JSON, and prints the seconds that it and its commands took.
RUNNER = """
import json, os, resource, subprocess, sys
space = {"__name__": "__main__"}
for kind, text, file in json.load(sys.stdin):
    if kind == "file":
        open(file, "w", encoding="utf-8").write(text)
    elif kind == "sh":
        subprocess.run(["bash", "-ec", text], check=True, stdin=subprocess.DEVNULL)
    elif kind == "python":
        exec(compile(text, "<a block>", "exec"), space)
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print("SECONDS", sum(one.ru_utime + one.ru_stime for one in used))
"""


@pytest.fixture
def environment(tmp_path_factory):
    """One thread, no network, and `composer` as a command."""
    programs = tmp_path_factory.mktemp("programs")
    (programs / "composer").write_text(f'#!/bin/sh\nexec {sys.executable} -m composer "$@"\n')
    (programs / "composer").chmod(0o755)
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return {
        **os.environ,
        **nowhere,
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
        "PYTHONPATH": str(ROOT),
        "PATH": f"{programs}:{os.environ['PATH']}",
    }


@pytest.mark.parametrize(
    "page",
    [pytest.param(one, id=one.stem, marks=() if one.stem in QUICK else pytest.mark.slow) for one in PAGES],
)
def test_it_runs_in_an_empty_folder(page: Path, tmp_path: Path, environment) -> None:
    text = page.read_text(encoding="utf-8")
    parts = [(one.kind, one.text, one.file) for one in notebooks.blocks(text)]
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(parts),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    _is_drawn(tmp_path / notebooks.picture(text))
    assert float(done.stdout.rsplit("SECONDS", 1)[1]) <= MOST


def _is_drawn(path: Path) -> None:
    if path.suffix == ".svg":
        assert path.read_text(encoding="utf-8").count("<rect") > 3
        return
    with Image.open(path) as image:
        assert len(image.convert("RGB").getcolors(1 << 24)) > 10


def test_there_are_six_of_five_steps_each() -> None:
    assert len(PAGES) == 6
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert re.findall(r"^## (\d)\. ", text, re.MULTILINE) == list("12345"), page
        assert len(re.findall(r"^# ", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)) == 1, page
        assert notebooks.picture(text)
        files = {one.file for one in notebooks.blocks(text) if one.kind == "file"}
        assert len(files) == sum(one.kind == "file" for one in notebooks.blocks(text)), page


def test_the_index_lists_them() -> None:
    index = (ROOT / "examples/tutorials/README.md").read_text(encoding="utf-8")
    assert re.findall(r"\((\d_\w+\.md)\)", index) == [page.name for page in PAGES]


def test_blocks_are_read_as_they_are_meant() -> None:
    text = "# A\n\n```yaml a.yaml\nb: 1\n```\n\nwords\n\n```python\nx = 1\n```\n"
    text += "```yml\nno: file\n```\n<!-- picture: p.svg -->\n"
    found = [(one.kind, one.text, one.file) for one in notebooks.blocks(text)]
    assert found[:2] == [("words", "# A", ""), ("file", "b: 1\n", "a.yaml")]
    assert found[2:4] == [("words", "words", ""), ("python", "x = 1\n", "")]
    assert found[4][0] == "words"
    assert "no: file" in found[4][1]
    assert notebooks.picture(text) == "p.svg"


def test_notebooks_are_made_of_them(tmp_path: Path) -> None:
    pytest.importorskip("nbformat")
    command = [sys.executable, ROOT / "examples/tutorials/notebooks.py", "-o", tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    assert sorted(path.stem for path in tmp_path.iterdir()) == [page.stem for page in PAGES]
    for page in PAGES:
        cells = json.loads((tmp_path / f"{page.stem}.ipynb").read_text())["cells"]
        assert cells[0]["cell_type"] == "markdown"
        assert notebooks.picture(page.read_text()) in "".join(cells[-1]["source"])
