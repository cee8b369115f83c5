"""Models that a spec names are recorded for its inputs; what cannot be is said."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm

import composer
from composer.errors import GraphError


def test_a_model_composes_with_its_parameters_and_outputs() -> None:
    graph = composer.compose("timm:convnext_atto", num_classes=7, in_chans=1, img_size=64)
    theirs = timm.create_model("convnext_atto", num_classes=7, in_chans=1)
    assert graph.num_parameters == sum(one.numel() for one in theirs.parameters())
    assert [tensor.shape for tensor in graph.root.inputs.values()] == [(2, 1, 64, 64)]
    assert [tensor.shape for tensor in graph.outputs.values()] == [(2, 7)]


def test_an_input_that_a_model_does_not_take_is_said_at_its_line(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text("backbone: torchvision:alexnet\ninput: [3, 9, 9]\n")
    with pytest.raises(GraphError, match=r"cannot take input \[3, 9, 9\]") as caught:
        composer.compose(file)
    (problem,) = caught.value.diagnostics
    assert problem.location is not None
    assert problem.location.line == 2


def test_a_forward_that_reads_values_is_said() -> None:
    backbone = {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
    config = {"model_type": "detr", "encoder_layers": 1, "decoder_layers": 1, "d_model": 32}
    with pytest.raises(GraphError, match="reads values"):
        composer.compose({"backbone": {"transformers": {**config, "backbone_config": backbone}}})
