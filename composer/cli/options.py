"""Options that several verbs share, each with the same name and meaning everywhere."""

from __future__ import annotations

import enum
import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from composer.amounts import plural
from composer.cli import screen
from composer.cli.progress import stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from composer.network import Graph
    from composer.spec.spec import Spec


@dataclass
class Invocation:
    """Settings of a run of the command line that its error reports need."""

    debug: bool = False
    format: str = "text"
    verbosity: int = 0


class Format(enum.StrEnum):
    """The format of printed data."""

    TEXT = "text"
    JSON = "json"


class TableFormat(enum.StrEnum):
    """The format of a printed table."""

    TEXT = "text"
    JSON = "json"
    MD = "md"
    CSV = "csv"


AnyFormat = TypeVar("AnyFormat", bound=enum.StrEnum)


def note_format(context: typer.Context, value: AnyFormat) -> AnyFormat:
    """Return the format, and remember it for errors too."""
    if not context.params.get("as_json"):
        context.find_root().obj.format = value.value
    return value


def _load_plugins(context: typer.Context, values: list[Path] | None) -> list[Path] | None:
    # `validate --quick` imports no plugin: most of them import torch.
    if values and not context.params.get("quick"):
        from composer import registry

        for path in values:
            screen.alone(registry.load_plugin)(path)
    return values


def complete_spec(incomplete: str) -> list[str]:
    """Completions of the beginning of a spec, for a shell: names of the zoo, .yaml files, and folders."""
    from composer.spec import zoo

    paths = sorted(glob.glob(f"{glob.escape(incomplete)}*"))
    files = [f"{path}/" if os.path.isdir(path) else path for path in paths]
    files = [path for path in files if path.endswith(("/", ".yaml", ".yml"))]
    return [*(name for name in zoo.names() if name.startswith(incomplete)), *files]


def _note_quiet(context: typer.Context, value: bool) -> bool:
    context.find_root().obj.verbosity -= value
    return value


def _note_verbose(context: typer.Context, value: bool) -> bool:
    context.find_root().obj.verbosity += value
    return value


SPEC_HELP = "A .yaml file, a name such as `resnet50`, or a model: timm:NAME, torchvision:NAME."
SpecName = Annotated[
    str,
    typer.Argument(metavar="SPEC", help=SPEC_HELP, autocompletion=complete_spec),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change the spec, e.g. vars.num_classes=10. Repeatable."),
]
Root = Annotated[Path | None, typer.Option(help="The folder that `backbone:` paths may not leave.")]
_PLUGIN = "A Python file with mechanisms, or a YAML file with blocks. Repeatable."
Plugins = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE", help=_PLUGIN, callback=_load_plugins),
]

AllowCode = Annotated[bool, typer.Option("--allow-code", help="Let a backbone `package.module:factory` run.")]

FormatOption = Annotated[Format, typer.Option("--format", help="How to print.", callback=note_format)]
TableFormatOption = Annotated[TableFormat, typer.Option("--format", help="How to print.", callback=note_format)]
Force = Annotated[bool, typer.Option("--force", help="Replace what exists.")]
Seed = Annotated[int, typer.Option(help="Weights depend on it and on nothing else.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
DType = Annotated[str, typer.Option("--dtype", help="float32, bfloat16, float16 or float64.")]
MaxNodes = Annotated[int | None, typer.Option(min=1, help="Refuse larger networks (default 10,000).")]
MaxParameters = Annotated[int | None, typer.Option(min=1, help="Refuse larger networks (default 5e9).")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only data and errors.", callback=_note_quiet)]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say how long each step took.", callback=_note_verbose)]


@dataclass(frozen=True)
class Saying:
    """Options for how much is printed on stderr."""

    quiet: Quiet = False
    verbose: Verbose = False


@dataclass(frozen=True)
class Budget:
    """Options for the largest size of a network."""

    max_nodes: MaxNodes = None
    max_parameters: MaxParameters = None


@dataclass(frozen=True)
class Reading:
    """Options for reading specs: changes, root folder, plugins, and whether a model may be code."""

    sets: Sets = None
    root: Root = None
    plugin: Plugins = None
    allow_code: AllowCode = False

    def load(self, source: str, *, weights: bool = True) -> Spec:
        """The spec of this source; with `weights`, looks for the weights that it names. Raises SpecError."""
        from composer.spec.load import load_spec

        return load_spec(source, sets=self.sets or (), root=self.root, weights=weights, allow_code=self.allow_code)

    def compose(
        self, context: typer.Context, source: str, budget: Budget | None = None, *, weights: bool = True
    ) -> Graph:
        """The graph of this source. Raises SpecError before torch is imported, or GraphError."""
        spec = self.load(source, weights=weights)
        with stage(context, f"composing {spec.name}"):
            from composer.api import compose

            return compose(spec, **vars(budget or Budget()))


def find_device(name: str) -> torch.device:
    """The device with this name. Raises UnavailableError."""
    from composer.devices import check_device

    device = check_device(name)
    assert device is not None
    return device


def find_dtype(name: str) -> torch.dtype:
    """The dtype with this name. Raises InputError."""
    from composer.devices import check_dtype

    dtype = check_dtype(name)
    assert dtype is not None
    return dtype


def measured(context: typer.Context, graph: Graph, runs: int, device: str) -> Mapping[str, float]:
    """Path of an operation -> seconds. Raises UnavailableError."""
    from composer.compile.graph import compile_graph
    from composer.timing import measure

    target = find_device(device)
    say(context, f"measuring {plural(runs, 'run')} of `{graph.spec.name}` on {target}, one image")
    with stage(context, f"measuring {graph.spec.name}"):
        return measure(compile_graph(graph).to(target), runs=runs)


def say(context: typer.Context, text: str, level: int = 0) -> None:
    """Print text on stderr if the verbosity (-1 with --quiet, 1 with --verbose, else 0) is at least `level`."""
    if context.find_root().obj.verbosity >= level:
        screen.words(text)


def check_output(output: Path, *, force: bool) -> None:
    """Check, before any slow work, that the output may be written, or replaced with `force`. Raises InputError."""
    from composer.files import check_target

    if str(output) != "-":
        check_target(output, force=force)


def write(context: typer.Context, output: Path, content: bytes, *, force: bool) -> None:
    """Write a file, whole or not at all; `force` replaces an existing file; `-` is stdout. Raises InputError."""
    from composer.files import staged

    if str(output) == "-":
        screen.out_bytes(content)
        return
    with staged([output], force=force) as (path,):
        path.write_bytes(content)
    say(context, f"wrote {output}")
