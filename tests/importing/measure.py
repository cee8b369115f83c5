"""Writes measured.json: what ultralytics makes of the model files beside it. Run where ultralytics is installed:

    python tests/importing/measure.py

It is no dependency of composer and of no test; measured.json says with which version it was measured.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# Model file and scale -> the models of tests/importing/test_ultralytics.py.
MODELS = (
    *("yolov8n", "yolov8s", "yolo11n", "yolo11m", "yolo12n", "yolo12l"),
    *("yolo0n", "yolo0l", "yolo0n-cls", "yolo0n-e2e"),
)


def digest(shapes: dict[str, tuple[int, ...]]) -> str:
    """A hash of names and shapes, in alphabetical order."""
    lines = [f"{name} {'x'.join(map(str, shape))}" for name, shape in sorted(shapes.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def measured(name: str) -> dict[str, Any]:
    """Parameters of each row, how many tensors the state_dict has, and the hash of their names and shapes."""
    from ultralytics.nn.tasks import ClassificationModel, DetectionModel

    kind = ClassificationModel if name.endswith("-cls") else DetectionModel
    model = kind(str(HERE / "models" / f"{name}.yaml"), verbose=False)
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    rows = [sum(one.numel() for one in row.parameters()) for row in model.model]
    return {"rows": rows, "tensors": len(shapes), "digest": digest(shapes)}


if __name__ == "__main__":
    import ultralytics

    content = {"ultralytics": ultralytics.__version__, "models": {name: measured(name) for name in MODELS}}
    text = json.dumps(content).replace('{"rows"', '\n{"rows"').replace('"models"', '\n"models"')
    (HERE / "measured.json").write_text(text + "\n", encoding="utf-8")
