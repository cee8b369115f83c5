"""What users read when the text of a spec is wrong, word by word. Renew with `pytest --renew`, then read the diff."""

from __future__ import annotations

from pathlib import Path

import pytest

from composer.errors import SpecError
from composer.spec.load import load_spec

FOLDER = Path(__file__).parent / "messages"


@pytest.mark.parametrize("case", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_the_message_is_the_golden_one(
    case: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(FOLDER)
    with pytest.raises(SpecError) as caught:
        load_spec(f"{case}.yaml")
    found, golden = f"{caught.value}\n", FOLDER / f"{case}.txt"
    if request.config.getoption("--renew"):
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")
    assert str(FOLDER) not in found


def test_no_golden_text_without_its_spec() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == {path.stem for path in FOLDER.glob("*.yaml")}
