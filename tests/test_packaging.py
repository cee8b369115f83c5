"""What `pip install .` leaves behind works from any folder, without the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import composer
from composer.spec import zoo

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Environment variables with which Python finds the installed package, and not this checkout."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    for name in ("composer", "specs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", target]
    subprocess.run([*install, source], check=True, capture_output=True)
    here = [path for path in sys.path if path and Path(path).resolve() != ROOT]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(target), *here])}, target


def run(installed, folder, *words):
    environment, _ = installed
    command = [sys.executable, "-m", "composer", *words]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


def test_the_zoo_travels_along(installed, tmp_path):
    names = "*zoo.backbones(), *zoo.papers(), *zoo.key_maps()"
    code = f"import composer, composer.spec.zoo as zoo; print(composer.__file__); print({names})"
    environment, target = installed
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    file, names = done.stdout.splitlines()
    assert Path(file).is_relative_to(target)
    assert names.split() == [*zoo.backbones(), *zoo.papers(), *zoo.key_maps()]
    assert (target / "composer" / "py.typed").is_file()


def test_the_version_is_that_of_the_package(installed):
    _, target = installed
    (found,) = metadata.distributions(name="attention-composer", path=[str(target)])
    assert found.version == composer.__version__
    assert found.metadata["Author"] == "The composer authors"
    assert "Typing :: Typed" in found.metadata.get_all("Classifier")
    assert "version" not in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"## {composer.__version__}" in (ROOT / "examples/guides/changes.md").read_text(encoding="utf-8")


def test_the_main_job_of_the_readme_outside_the_checkout(installed, tmp_path):
    done = run(installed, tmp_path, "build", "specs/papers/cbam/resnet50.yaml", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert "28,089,608" in done.stdout
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_the_page_travels_along_and_what_it_is_built_from_does_not(installed, tmp_path):
    _, target = installed
    assert not (target / "composer" / "page" / "client").exists()
    done = run(installed, tmp_path, "graph", "resnet18", "-o", "net.html")
    assert done.returncode == 0, done.stderr
    assert "data-path" in (tmp_path / "net.html").read_text(encoding="utf-8")
