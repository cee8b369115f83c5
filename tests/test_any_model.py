"""The Python of examples/guides/any_model.md: each section runs as it stands, in one namespace, and trains its step."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "examples/guides" / "any_model.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECTIONS = {
    section.partition("\n")[0]: found for section in PAGE.split("\n## ")[1:] if (found := FENCE.findall(section))
}
NEEDS = {"A detector": "torchvision", "Segmentation": "segmentation_models_pytorch", "transformers": "transformers"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("title", SECTIONS)
def test_its_python_runs(title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for start, package in NEEDS.items():
        if title.startswith(start):
            pytest.importorskip(package)
    names: dict[str, object] = {"__name__": "any_model"}
    exec("import torch\nimport composer", names)
    for text in SECTIONS[title]:
        exec(text, names)
