"""Faster forward and backward passes of mechanisms, with the numbers of their plain formulas.

A mechanism's method keeps the plain formula as its body, and `@fused(kernel)` names the function that computes the same
in its place where that is safe and faster; everywhere else the body itself runs.
"""

from composer.kernels.choice import KERNELS, Kernels, set_kernels
from composer.kernels.fused import fused, on_fake_tensors

__all__ = ["KERNELS", "Kernels", "fused", "on_fake_tensors", "set_kernels"]
