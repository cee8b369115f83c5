"""What was exported: the files, the axes that vary, the runs that were compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from composer.amounts import plural
from composer.exporting.compare import Accuracy, Run


@dataclass(frozen=True)
class Exported:
    """What was exported.

    network     its name
    format      as in `--to`
    engine      what ran the file, with its version
    files       what was written, the file itself first; empty if it was only tried
    size        of all files, in bytes
    inputs      name of an input -> its axes: a letter for one that varies, else its length
    varying     the axes that vary, in words
    fixed       why others do not, a sentence for each, with the node
    runs        runs of the file beside the network; empty if the format does not run here
    note        why it was not run
    folded      norms that were folded, and all norms; None if that was not asked for
    quantizer   what quantised it; empty if nothing did
    accuracy    what quantisation did to outputs; None without it
    """

    network: str
    format: str
    engine: str
    files: tuple[Path, ...]
    size: int
    inputs: Mapping[str, str]
    varying: str
    fixed: tuple[str, ...] = ()
    runs: tuple[Run, ...] = ()
    note: str = ""
    folded: tuple[int, int] | None = None
    quantizer: str = ""
    accuracy: Accuracy | None = field(default=None)

    @property
    def difference(self) -> float | None:
        """The largest absolute difference of an output in all runs; None if it was not run."""
        return max((one.difference for one in self.runs), default=None)

    @property
    def relative(self) -> float | None:
        """The largest difference as a share of the output's largest absolute value; None if it was not run."""
        return max((one.relative for one in self.runs), default=None)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The report as text."""
        inputs = ", ".join(f"{name} {axes}" for name, axes in self.inputs.items())
        found = [f"{self.network}: {self.format}, {self.size / 2**20:,.1f} MiB", f"inputs      {inputs}"]
        found.append(f"varies      {self.varying}")
        if self.folded is not None:
            found.append(f"folded      {self.folded[0]} of {plural(self.folded[1], 'norm')}")
        if self.quantizer:
            found.append(f"int8        {self.quantizer}")
        if self.runs:
            shapes = ", ".join(run.words for run in self.runs)
            found.append(f"run         by {self.engine} on {shapes}")
            found.append(
                f"difference  {self.difference:.2e} at most, {self.relative:.1e} of the output's largest value"
            )
        else:
            found.append(f"not run     {self.note}")
        if self.accuracy is not None:
            found.append(f"accuracy    {self.accuracy}")
        return found

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {
            "ok": True,
            "network": self.network,
            "format": self.format,
            "engine": self.engine,
            "files": [str(one) for one in self.files],
            "bytes": self.size,
            "inputs": dict(self.inputs),
            "varying": self.varying,
            "fixed": list(self.fixed),
            "difference": self.difference,
            "relative": self.relative,
            "runs": [one.to_json() for one in self.runs],
            "note": self.note,
            "folded": None if self.folded is None else {"folded": self.folded[0], "norms": self.folded[1]},
            "quantizer": self.quantizer,
            "accuracy": None if self.accuracy is None else vars(self.accuracy),
        }
