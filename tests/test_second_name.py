"""A wheel in a new environment: `attention_composer` is composer, or says whose `composer` came in its place."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import composer

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, without most of the zoo, which takes time and is tested elsewhere."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    shutil.copytree(ROOT / "composer", source / "composer", ignore=shutil.ignore_patterns("__pycache__", "client"))
    shutil.copytree(ROOT / "specs/classes", source / "specs/classes")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    words = ["wheel", "-q", "--no-deps", "--no-build-isolation", "--wheel-dir", target, source]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True)
    (found,) = target.iterdir()
    return found


@pytest.fixture
def python(tmp_path, wheel):
    """The Python of a new environment with nothing but this wheel."""
    venv.create(tmp_path / "venv", with_pip=False)
    found = tmp_path / "venv" / "bin" / "python"
    _install(found, wheel)
    return found


def _install(python: Path, wheel: Path) -> None:
    words = ["--python", python, "install", "-q", "--no-deps", "--no-index", "--no-compile", wheel]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True)


def _run(python: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, *words], capture_output=True, text=True, cwd=python.parents[2], check=False, env={})


def _other(folder: Path, text: str) -> Path:
    """A wheel of another distribution, with a package `composer` of this text."""
    path = folder / "mosaicml-1.0-py3-none-any.whl"
    about = "mosaicml-1.0.dist-info"
    files = {
        "composer/__init__.py": text,
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: mosaicml\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_it_is_composer(python: Path) -> None:
    code = "import attention_composer as a, composer; print(a.__all__ == composer.__all__, a.__version__, a.SpecError)"
    done = _run(python, "-c", f"{code}; from attention_composer import Diagnostic; print('build' in dir(a))")
    expected = [f"True {composer.__version__} <class 'composer.errors.SpecError'>", "True"]
    assert done.stdout.splitlines() == expected, done.stderr
    assert "has no attribute `nothing`" in _run(python, "-c", "import attention_composer as a; a.nothing").stderr
    (packages,) = (python.parents[1] / "lib").glob("python*/site-packages")
    assert (packages / "attention_composer.py").is_file()
    assert not (packages / "composer" / "second_name").exists()


@pytest.mark.parametrize("text", ["from composer.core import Trainer\n", "__version__ = '1.0'\n"])
def test_another_package_that_was_installed_later_is_named(python: Path, tmp_path: Path, text: str) -> None:
    _install(python, _other(tmp_path, text))
    done = _run(python, "-c", "import attention_composer")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: the module `composer`")
    assert "that of mosaicml, not that of attention-composer" in last
    assert "`pip uninstall mosaicml`" in last
    command = _run(python, "-m", "attention_composer", "list")
    assert command.returncode == 1
    assert command.stderr.startswith("error: the module `composer`")
    assert "Traceback" not in command.stderr


def test_a_folder_in_the_way_is_named(python: Path, tmp_path: Path) -> None:
    _install(python, _other(tmp_path, ""))
    (tmp_path / "composer").mkdir()
    (tmp_path / "composer" / "__init__.py").touch()
    last = _run(python, "-c", "import attention_composer").stderr.splitlines()[-1]
    assert str(tmp_path / "composer") in last
    assert "rename that file or folder" in last
    assert "mosaicml" not in last
