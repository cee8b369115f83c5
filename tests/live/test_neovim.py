"""A real editor: Neovim, without a screen, with a spec that has a mistake."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("neovim.lua")
SPEC = "backbone: resnet18\nattention:\n  - {use: cbma, after: branch}\n"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the server said to Neovim."""
    program = shutil.which("nvim")
    if program is None:
        pytest.skip("there is no Neovim (apt-get install neovim)")
    folder = tmp_path_factory.mktemp("neovim")
    (folder / "net.yaml").write_text(SPEC, encoding="utf-8")
    server = json.dumps([sys.executable, "-m", "composer", "lsp"])
    variables = {**os.environ, "COMPOSER": server, "XDG_STATE_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    words = [program, "--headless", "--clean", "-n", "-u", "NONE", "-c", f"luafile {SCRIPT}"]
    done = subprocess.run(words, cwd=folder, env=variables, capture_output=True, text=True, timeout=300, check=True)
    assert done.stderr == ""
    assert (folder / "net.yaml").read_text(encoding="utf-8") == SPEC, "only what somebody saves is written"
    return json.loads((folder / "found.json").read_text(encoding="utf-8"))


def test_a_mistake_is_at_its_word_and_goes_when_it_is_mended_unsaved(found):
    assert found["has_mistake"]
    assert "did you mean `cbam`" in found["mistake"]["message"]
    assert (found["mistake"]["lnum"], found["mistake"]["col"]) == (2, 10)
    assert found["is_mended"]


def test_it_completes_explains_and_leads_to_the_zoo(found):
    assert {"cbam", "se", "eca"} <= {one["label"] for one in found["completed"]}
    assert "Woo et al." in json.dumps(found["hovered"])
    assert "resnet18.yaml" in json.dumps(found["defined"])


def test_it_says_at_the_rule_what_it_does(found):
    assert "8 places" in json.dumps(found["inlays"])
