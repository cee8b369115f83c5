"""What run.json and last.json hold: frozen models, so that a damaged file is found where it is read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_WRITTEN = ConfigDict(extra="allow", strict=True, frozen=True)

Count = Annotated[int, Field(ge=0)]
# A file beside the one that names it, and none elsewhere.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Opening(BaseModel):
    """How data was opened."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    task: Literal["classes", "labels", "values", "map"] | None = None
    strict: bool = False
    seed: Count = 0


class DataRecord(BaseModel):
    """The data of a run."""

    model_config = _WRITTEN

    source: str
    fingerprint: str
    training: Count
    validation: Count
    test: Count
    opening: Opening


class Test(BaseModel):
    """What a test found."""

    model_config = _WRITTEN

    metric: str
    value: float
    interval: Annotated[list[float], Field(min_length=2, max_length=2)] | None
    of: Count


class Best(BaseModel):
    """The best epoch by validation."""

    model_config = _WRITTEN

    epoch: Count
    step: Count
    metric: float
    file: FileName


class Record(BaseModel):
    """run.json."""

    model_config = _WRITTEN

    state: Literal["begun", "training", "done"]
    network: str
    task: Literal["classes", "labels", "values", "map"]
    metric: str
    classes: list[str]
    data: DataRecord
    parameters: Count
    macs: Count | None
    best: Best | None = None
    test: Test | None = None


class Row(BaseModel):
    """An epoch."""

    model_config = _WRITTEN

    epoch: Count
    step: Count
    lr: float
    training_loss: float
    validation_loss: float
    metric: float
    seconds: float


class ProgressRecord(BaseModel):
    """How far a training is."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    step: Count
    rows: list[Row]
    sums: Annotated[list[float], Field(min_length=2, max_length=2)]
    best: Best | None
    waited: Count
    seconds: float


class CheckpointRecord(BaseModel):
    """last.json."""

    model_config = _WRITTEN

    weights: FileName
    state: FileName
    progress: ProgressRecord


def checked(value: Any, model: type[BaseModel]) -> dict[str, Any]:
    """The value, if a model takes it. Raises pydantic's ValidationError."""
    model.model_validate(value)
    found: dict[str, Any] = value
    return found
