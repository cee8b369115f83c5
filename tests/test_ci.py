"""The examples for a repository of specs: the hook, and the workflow that comments on a pull request."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from composer.draw.marks import Marks
from composer.draw.view import Box

ROOT = Path(__file__).parents[1]
CI = ROOT / "examples/ci"
SPEC = "backbone: resnet18\nattention:\n  - {use: se, after: block}\n"


def _program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two commits, the second of which changes a spec whose name has a space."""
    folder = tmp_path / "repository"
    (folder / "specs").mkdir(parents=True)
    _git(folder, "init", "-q")
    (folder / "specs/my net.yaml").write_text(SPEC)
    (folder / "specs/same.yaml").write_text(SPEC)
    _git(folder, "add", ".")
    _git(folder, "commit", "-qm", "before")
    (folder / "specs/my net.yaml").write_text(SPEC.replace("se,", "eca,"))
    (folder / "specs/new.yaml").write_text(SPEC)
    _git(folder, "add", ".")
    _git(folder, "commit", "-qm", "after")
    return folder


def _git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_the_workflow_comments_with_the_picture(repository: Path, tmp_path: Path) -> None:
    lines = (CI / "pull_request.yaml").read_text().splitlines()
    assert len(lines) == 12
    (job,) = yaml.safe_load("\n".join(lines))["jobs"].values()
    programs = tmp_path / "programs"
    programs.mkdir()
    _program(programs, "pip", f'echo "$@" > {tmp_path}/pip')
    _program(programs, "gh", f'echo "$@" > {tmp_path}/gh')
    _program(programs, "composer", f'exec {sys.executable} -m composer "$@"')
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    env |= {"PR": "7", "BASE": _git(repository, "rev-parse", "HEAD~1")}
    for step in job["steps"]:
        if "run" in step:
            subprocess.run(["bash", "-ec", step["run"]], cwd=repository, env=env, check=True)
    assert (tmp_path / "pip").read_text() == "install -r requirements.txt\n"
    assert (tmp_path / "gh").read_text() == "pr comment 7 --body-file diff.md\n"
    comment = (repository / "diff.md").read_text()
    assert comment.count("```mermaid") == 1  # of the one that changed
    assert ":::changed" in comment
    assert comment.startswith("### resnet18 (specs/my net.yaml)\n")
    assert "| eca | 8 | after act2 |" in comment


def test_both_files_of_hooks_say_the_same() -> None:
    (ours,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    (repo,) = yaml.safe_load((CI / ".pre-commit-config.yaml").read_text())["repos"]
    (theirs,) = repo["hooks"]
    for key in ("id", "name", "language", "entry", "types"):
        assert ours[key] == theirs[key]


def test_a_box_is_marked_for_itself_for_what_is_around_it_and_for_what_it_holds() -> None:
    marks = Marks({"layer1": "added", "layer2.0.se": "added", "layer3.1": "moved"})
    found = [
        marks.of(_box(*paths)) for paths in (("layer1.0.conv",), ("layer2",), ("layer3.0", "layer3.1"), ("layer4",))
    ]
    assert found == ["added", "changed", "moved", ""]
    assert marks.of(_box("layer10")) == ""


def _box(*paths: str) -> Box:
    return Box("x", paths[0], "x", paths[1:], "block", "x", "x", {}, False, 0)


def test_nothing_changed_is_said(run) -> None:
    result = run("diff", "resnet18", "resnet18", "--format", "md")
    assert (result.code, result.out) == (0, "### resnet18 (specs/backbones/resnet18.yaml)\n\nThey compute the same.\n")
