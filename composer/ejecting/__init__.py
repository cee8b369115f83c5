"""Writes a network as one PyTorch file that needs no composer."""

from composer.ejecting.file import eject
from composer.ejecting.proof import proof_of

__all__ = ["eject", "proof_of"]
