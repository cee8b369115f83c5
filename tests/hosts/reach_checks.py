"""What the reach table asks of one model: whether it is recorded, and what mechanisms do in it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import composer
from composer.dag.host import HostScope
from composer.dag.rules.places import Places
from composer.dag.scope import Node
from composer.dag.tensor import TensorSpec
from composer.errors import ComposerError
from composer.foreign import named
from composer.hosts.recognised.branches import is_spatial_conv
from composer.hosts.recognised.findings import Findings
from composer.hosts.recognised.sites import recognised
from composer.hosts.recording.record import record
from tests.hosts.reach_fresh import tensors
from tests.hosts.reach_models import Subject, live, recordable

YES, NO, NONE = "✓", "✗", "–"
MECHANISMS = {"channel gate": "se", "spatial gate": "cbam_spatial", "kernel": "condconv", "token mixer": "mhsa"}
ASPECTS = ("equal", "keys", "trains")
COLUMNS = ("recorded", "blocks", "layout", *MECHANISMS, "pickles", "exports")
_PATCHES = (2, 4, 8, 12, 14, 16, 32)
_HEADS = (8, 6, 4, 3, 2, 1)


class Absent(Exception):
    """A column that does not apply to a model, and why."""


@dataclass
class Result:
    """The cells of one row.

    cells  column -> `✓`; `–` where it does not apply, `✗` where it fails, each with the reason behind a blank; empty
           where there is nothing to compare with. The columns of mechanisms have an aspect: `channel gate: equal`
    size   of the images of the model with numbers
    note   what differs from the library's own model
    """

    cells: dict[str, str] = field(default_factory=dict)
    size: str = ""
    note: str = ""


class Fresh:
    """A process that loads pickled models, and knows only what pickles name."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.hosts.reach_fresh"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)

    def answer(self, path: str) -> str:
        """What is wrong with the model in a file; empty if nothing is."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(path, file=self.process.stdin, flush=True)
        said = self.process.stdout.readline()
        return said.strip() if said else "the process that loads it ended"

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def examine(subject: Subject, fresh: Fresh) -> Result:
    """The row of a model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _Examination(subject, fresh).run()


@contextmanager
def _cells(found: dict[str, str], *columns: str) -> Iterator[None]:
    """`✓` in these columns, or what the block raises, where they are still empty."""
    try:
        yield
        said = YES
    except Absent as error:
        said = f"{NONE} {error}"
    except Exception as error:
        said = f"{NO} {first_line(error)}"
    for column in columns:
        found.setdefault(column, said)


def first_line(error: Exception) -> str:
    """What an error says first, with the path that it is about."""
    if isinstance(error, ComposerError):
        one = error.diagnostics[0]
        return " ".join(f"{f'{one.path}: ' if one.path else ''}{one.message}".split())
    lines = named(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def expect(fact: bool, text: str) -> None:
    """Raises AssertionError with a text unless it is a fact; checks of a table must run under `-O` too."""
    if not fact:
        raise AssertionError(text)


class _Examination:
    def __init__(self, subject: Subject, fresh: Fresh) -> None:
        self.subject, self.fresh = subject, fresh
        self.found = Result()
        self.cells = self.found.cells

    def run(self) -> Result:
        with _cells(self.cells, "recorded"):
            scope, findings = self.recorded(*recordable(self.subject))
            self.blocks(findings)
            self.layout(scope)
        if self.cells["recorded"] != YES:
            return self.found
        self.live = live(self.subject)
        self.found.size = self.live.size
        self.found.note = ", ".join(f"{name} {value}" for name, value in self.subject.args.items())
        self.plain = numbers(self.live.run())
        self.scope, _ = self.recorded(self.live.host, self.live.example)
        for mechanism, use in MECHANISMS.items():
            columns = [f"{mechanism}: {aspect}" for aspect in ASPECTS]
            with _cells(self.cells, *columns):
                self.insertion(mechanism, self.rule(mechanism, use), columns)
        for column in ("pickles", "exports"):
            self.cells.setdefault(column, f"{NONE} nothing was inserted")
        return self.found

    def recorded(self, model: nn.Module, example: Any) -> tuple[HostScope, Findings]:
        return recognised(record(model, *example), self.subject.sites)

    def blocks(self, findings: Findings) -> None:
        wanted = self.subject.blocks
        if wanted is None:
            return
        finding = findings["block"]
        found: Any = len(finding.paths) if isinstance(wanted, int) else dict(finding.globs)
        with _cells(self.cells, "blocks"):
            expect(found == wanted, f"found {found or 'none'}, there are {wanted}")

    def layout(self, scope: HostScope) -> None:
        with _cells(self.cells, "layout"):
            ends = [end_of(node, scope) for node in blocks_of(scope)]
            unknown = [node.path for node in ends if not (node.result and node.result.channels)]
            expect(not unknown, f"unknown behind {len(unknown)} of {len(ends)}, such as `{next(iter(unknown), '')}`")

    def rule(self, mechanism: str, use: str) -> dict[str, Any]:
        """The rule that inserts a mechanism. Raises Absent where it does not apply."""
        blocks = blocks_of(self.scope)
        if mechanism == "kernel":
            return {"use": use, "replace": self.convolutions(blocks)}
        rule: dict[str, Any] = {"use": use, "start": "identity"}
        placed = [node for node in (end_of(one, self.scope) for one in blocks) if has_positions(node, self.scope)]
        if not placed:
            raise Absent("no block gives a map, or tokens of one")
        if mechanism != "token mixer":
            return {**rule, "after": "block" if placed == blocks else [node.path for node in placed]}
        channels = (placed[-1].result and placed[-1].result.channels) or 1
        heads = next(number for number in _HEADS if channels % number == 0)
        return {**rule, "after": placed[-1].path, "with": {"num_heads": heads}}

    def convolutions(self, blocks: Sequence[Node]) -> list[str]:
        """The first two convolutions of blocks that see neighbours."""
        places = Places.of(self.scope).select("spatial_conv")
        found = [place.node.path for place in places if is_spatial_conv(place.node)]
        if found:
            return found[:2]
        inside = tuple(f"{node.path}." for node in blocks)
        if not any(is_spatial_conv(node) and node.path.startswith(inside) for node in self.scope.walk()):
            raise Absent("no block has a convolution larger than 1×1, or only inside an attention")
        raise AssertionError("no convolution of a block is recognised")

    def insertion(self, mechanism: str, rule: Mapping[str, Any], columns: Sequence[str]) -> None:
        equal, keys, trains = columns
        one = self.live
        before = list(one.host.state_dict())
        report = composer.insert(one.host, rule, one.example, sites=self.subject.sites or None)
        try:
            with _cells(self.cells, keys):
                after = list(one.host.state_dict())
                lost = sorted({*before} - {*after} - {*report.removed})
                expect(not lost, f"lost {lost[:3]}")
                kept = [key for key in after if key not in report.keys]
                expect(kept == [key for key in before if key not in report.removed], "the keys' order changed")
                places = rule.get("replace", ())
                strange = [key for key in report.removed if key.rpartition(".")[0] not in places]
                expect(not strange, f"removed {strange[:3]}")
                expect(bool(report.keys), "there is no new key")
            with _cells(self.cells, equal):
                same_outputs(self.plain, numbers(one.run()), shapes_only="replace" in rule)
            with _cells(self.cells, trains):
                self.train()
            self.once("pickles", self.pickle)
            self.once("exports", self.export)
        finally:
            composer.remove(one.host)
        expect(list(one.host.state_dict()) == before, "`composer.remove` leaves other keys")

    def train(self) -> None:
        """Every parameter that was inserted gets a gradient; those of γ, behind which it stands, are not zero."""
        inserted = composer.inserted(self.live.host)
        scales = [one for one in inserted if one.shape == (1,)]
        with torch.no_grad():
            for one in scales:
                one.fill_(0.5)
        state = {name: value.clone() for name, value in self.live.model.named_buffers()}
        try:
            outputs = [one.float() for one in tensors(self.live.run(training=True)) if one.is_floating_point()]
            relative_loss(outputs).backward()
            without = [one for one in inserted if one.grad is None]
            expect(not without, f"{len(without)} of {len(inserted)} parameters get no gradient")
            expect(
                all(bool(one.grad.isfinite().all()) for one in inserted if one.grad is not None),
                "a gradient is not finite",
            )
            seen = [one for one in scales or inserted if one.grad is not None and bool(one.grad.any())]
            expect(bool(seen), "every gradient is zero")
        finally:
            self.live.model.zero_grad()
            with torch.no_grad():
                for name, value in self.live.model.named_buffers():
                    value.copy_(state[name])

    def once(self, column: str, check: Callable[[], None]) -> None:
        """Check what one insertion of a row is enough for."""
        if column not in self.cells:
            with _cells(self.cells, column):
                check()

    def pickle(self) -> None:
        one = self.live
        args, kwargs = one.example
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            torch.manual_seed(0)
            output = numbers(one.host(*args, **kwargs))
            path = str(Path(folder) / "model.pt")
            torch.save({"model": one.host, "args": args, "kwargs": kwargs, "output": output}, path)
            wrong = self.fresh.answer(path)
        expect(not wrong, wrong)

    def export(self) -> None:
        args, kwargs = self.live.example
        try:
            torch.export.export(self.live.host, args, kwargs, strict=False)
        except Exception:
            composer.remove(self.live.host)
            try:
                torch.export.export(self.live.host, args, kwargs, strict=False)
            except Exception as error:
                raise Absent(f"the library's own model does not export: {first_line(error)}") from error
            raise


def relative_loss(outputs: Sequence[Tensor]) -> Tensor:
    """The mean squares of outputs, each in parts of its largest number: random weights may give numbers whose squares
    are too small for float32."""
    return torch.stack([(one / (one.detach().abs().max() or 1)).square().mean() for one in outputs]).sum()


def numbers(value: Any) -> list[Tensor]:
    """Copies of the tensors of a result."""
    return [one.detach().clone() for one in tensors(value)]


def same_outputs(plain: Sequence[Tensor], found: Sequence[Tensor], *, shapes_only: bool) -> None:
    """Raises AssertionError unless two results are equal to the last bit, or have the same shapes."""
    shapes = [[tuple(one.shape) for one in several] for several in (plain, found)]
    expect(shapes[0] == shapes[1], f"shapes {shapes[1]}, they were {shapes[0]}")
    finite = all(bool(one.isfinite().all()) for one in plain if one.is_floating_point())
    expect(finite or shapes_only, "the plain model gives numbers that are not finite")
    differ = max(
        (
            float((one - other).abs().max())
            for one, other in zip(plain, found, strict=True)
            if not torch.equal(one, other)
        ),
        default=0.0,
    )
    expect(shapes_only or not differ, f"outputs differ by {differ:.2g}")


def blocks_of(scope: HostScope) -> list[Node]:
    """The blocks of a recording. Raises AssertionError if there are none."""
    found = [node for node in scope.walk() if "block" in node.sites]
    expect(bool(found), "no block is recognised")
    return found


def end_of(node: Node, scope: HostScope) -> Node:
    """A block; of one with several outputs, the node inside that gives the first of them that has positions."""
    content = node.content
    if node.result is not None or not isinstance(content, HostScope):
        return node
    names = [reference.partition(".")[0] for reference in content.outputs.values()]
    inside = [end_of(content.nodes[name], scope) for name in names if name in content.nodes]
    known = [one for one in inside if one.result and one.result.layout and has_positions(one, scope)]
    return next(iter(known or inside), node)


def has_positions(node: Node, scope: HostScope) -> bool:
    """Whether a node gives a map, or tokens of one: as many as a map of the network has positions, or as a square image
    has patches, and few more.

    Told by shapes alone, so that what composer does not know of a layout counts against it.
    """
    given = node.result
    if given is None or len(given.shape) != 3:
        return given is None or len(given.shape) > 3
    side = max((one.shape[-1] for one in scope.inputs.values()), default=0)
    grids = {num_positions(one) for one in maps(scope)} | {(side // patch) ** 2 for patch in _PATCHES}
    return any(length - grid in range(9) for length in given.shape[1:] for grid in grids if grid > 1)


def maps(scope: HostScope) -> Iterator[TensorSpec]:
    """The maps of a recording."""
    for node in scope.walk():
        if node.result is not None and node.result.axis("h") and node.result.axis("w"):
            yield node.result


def num_positions(one: TensorSpec) -> int:
    return (one.axis("h") or 0) * (one.axis("w") or 0)
