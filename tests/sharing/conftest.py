"""Folders of networks, and a hub on this machine for the real client."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest

import composer
from composer.sharing import write_folder

from .fake_hub import Hub, running

SPEC = {
    "name": "gated",
    "input": [3, 32, 32],
    "backbone": "resnet10",
    "vars": {"num_classes": 3, "stem": "small"},
    "attention": [{"use": "eca", "after": "branch"}],
}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that nobody changes."""
    folder = tmp_path_factory.mktemp("made") / "net"
    write_folder(composer.build(SPEC, seed=3), folder, license="mit", repo="hf:me/gated")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A folder of a network, to be changed."""
    return Path(shutil.copytree(made, tmp_path / "net"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub without repositories, which the real client asks."""
    with running() as found:
        constants = huggingface_hub.constants
        monkeypatch.setattr(constants, "ENDPOINT", found.url)
        template = found.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        yield found
