"""Data to train on: sources of images, their splits, how images are altered, and batches."""

from composer.training.data.data import IGNORED, Data, Split, Task
from composer.training.data.loader import Loader, ended_worker
from composer.training.data.mixing import mixed
from composer.training.data.open import open_data
from composer.training.data.transforms import evaluation_transform, training_transform

__all__ = [
    "IGNORED",
    "Data",
    "Loader",
    "Split",
    "Task",
    "ended_worker",
    "evaluation_transform",
    "mixed",
    "open_data",
    "training_transform",
]
