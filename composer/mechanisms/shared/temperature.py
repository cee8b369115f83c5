"""The temperature of a softmax over experts, which falls while a network trains."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FallingTemperature(nn.Module):
    """A module with a temperature that `composer.anneal` lowers in equal steps to 1, by `anneal`.

    It is a buffer, saved with the weights.
    """

    temperature: Tensor

    def start_at(self, temperature: float, annealing_epochs: int) -> None:
        """Set the temperature of the first epoch, and over how many epochs it falls."""
        self.start, self.annealing_epochs = temperature, annealing_epochs
        self.register_buffer("temperature", torch.tensor(float(temperature)))

    def anneal(self, epoch: float) -> float:
        """Set the temperature for an epoch, counted from 0, and return it."""
        progress = min(1.0, epoch / self.annealing_epochs) if self.annealing_epochs else 1.0
        now = self.start + (1.0 - self.start) * progress
        # In place: a compiled network sees the new value without being compiled again.
        self.temperature.fill_(now)
        return now
