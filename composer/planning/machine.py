"""GPUs by name, and the machines that they are in."""

from __future__ import annotations

from dataclasses import dataclass

GIB = 2**30


@dataclass(frozen=True)
class Device:
    """A GPU, by its maker's data sheet.

    memory   bytes
    half     multiply-adds of 16-bit numbers on its matrix units, in FLOP a second, without sparsity
    single   of float32, on its ordinary units
    link     bytes a second that it sends to the others of its machine
    """

    memory: int
    half: float
    single: float
    link: float


DEVICES = {
    "v100-32": Device(32 * GIB, 125e12, 15.7e12, 150e9),
    "a100-40": Device(40 * GIB, 312e12, 19.5e12, 300e9),
    "a100-80": Device(80 * GIB, 312e12, 19.5e12, 300e9),
    "h100-80": Device(80 * GIB, 989e12, 67e12, 450e9),
    "h200-141": Device(141 * GIB, 989e12, 67e12, 450e9),
    "l40s-48": Device(48 * GIB, 362e12, 91.6e12, 32e9),
}


@dataclass(frozen=True)
class Cluster:
    """The machines.

    device       of each rank
    gpus         ranks in all
    per_machine  GPUs in a machine
    network      bytes a second that a machine sends to others
    """

    device: Device
    gpus: int
    per_machine: int
    network: float

    @property
    def machines(self) -> int:
        """How many machines there are."""
        return -(-self.gpus // self.per_machine)

    @property
    def bandwidth(self) -> float:
        """Bytes a second at which a ring over all ranks turns: every byte crosses each machine's network once."""
        return self.device.link if self.machines == 1 else min(self.device.link, self.network)
