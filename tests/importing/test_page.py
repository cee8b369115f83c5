"""The guide to importing: a model file, lines of its spec, and a spec with attention that starts from it."""

from __future__ import annotations

import re
from pathlib import Path

import composer

PAGE = (Path(__file__).parents[2] / "examples/guides" / "importing.md").read_text(encoding="utf-8")
SHOWN = dict(re.findall(r"<!-- (\S+) -->\n```yml\n(.*?)```", PAGE, re.DOTALL))


def test_the_page_shows_a_block_of_a_model(run, tmp_path):
    spec = tmp_path / "resnet18.yaml"
    assert run("import", "timm:resnet18", "-o", spec).code == 0
    assert SHOWN["resnet18.yaml"] in spec.read_text()


def test_the_page(run, tmp_path):
    for name in ("pets.yaml", "pets_eca.yaml"):
        (tmp_path / name).write_text(SHOWN[name])
    spec = tmp_path / "pets_spec.yaml"
    assert run("import", tmp_path / "pets.yaml", "-o", spec).code == 0
    assert SHOWN["pets_spec.yaml"] in spec.read_text()
    plain, model = composer.build(spec), composer.build(tmp_path / "pets_eca.yaml")
    report = composer.load_weights(model, plain.state_dict())
    assert f"loaded {len(plain.state_dict())} tensors" in PAGE
    assert f"{len(report.inserted)} new, inserted by attention: `{report.inserted[0]}`, " in PAGE
    assert (report.missing, report.unexpected) == ((), ())
