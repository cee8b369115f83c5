"""Exports a network: records, converts, runs what was converted, compares, and only then writes it."""

from __future__ import annotations

import importlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from composer.compile.graph import compile_graph
from composer.compile.module import ComposedModule
from composer.errors import ComposerError, Diagnostic, InputError
from composer.exporting import blame, sizes
from composer.exporting.compare import Accuracy, Run, accuracy, run_of
from composer.exporting.fold import drop_unused, fold_norms
from composer.exporting.format import Format, Sizes, check_request
from composer.exporting.job import Job, Runner
from composer.exporting.lacking import check_operators, refusal
from composer.exporting.program import record, record_again
from composer.exporting.quiet import quiet
from composer.exporting.report import Exported
from composer.exporting.sizes import Varying
from composer.exporting.subject import BATCH, Subject
from composer.files import staged
from composer.foreign import is_error
from composer.images import find_images, input_of, read_batches

if TYPE_CHECKING:
    from composer.api import Source
    from composer.dag.composition import Composition

# The largest difference that is put down to the order of sums, as a share of the output's largest absolute value.
TOLERANCE = 1e-3
# Of a quantised file beside the quantised program: values near the middle of two steps are rounded to either.
TOLERANCE_INT8 = 0.2
# Of the images that calibrate, a quarter is held back.
HELD_BACK = 4
Tell = Callable[[str], None]


def export(
    model: nn.Module | Source,
    to: str,
    path: str | Path | None = None,
    *,
    example: Any = None,
    weights: str | Path | Mapping[str, Any] | None = None,
    images: Sequence[str | Path] | str | Path | Tensor | None = None,
    int8: bool = False,
    fold_bn: bool = False,
    static: bool = False,
    batch: int = 1,
    force: bool = False,
    allow_code: bool = False,
) -> Exported:
    """Export a network to a format, run the file, compare it with the network, and write it; `print` shows the report.

    model    a source, as for `composer.build`; or a module, of which a copy in eval mode is exported
    to       onnx, pt2, safetensors, torchscript, openvino, executorch, litert or coreml
    path     the file, whose name has the format's ending; None: only try it
    example  what a module that is not composed is called with: a tensor, a tuple of arguments, or a mapping
    weights  of a source, in place of its own: as for `composer.build`
    images   for `int8`: paths of photographs or folders, for a composed network; or a batch, b c h w
    int8     quantise weights and activations to 8 bits, calibrated on three quarters of the images; the report has the
             accuracy on the others
    fold_bn  fold norms into the convolutions and linear maps before them
    static   let no axis vary
    batch    the number of examples where the batch does not vary
    force    replace existing files
    allow_code  let a backbone `package.module:factory` run its code
    Raises what `build` raises; UnavailableError, naming the extra, without the format's packages; InputError at the
    node that the format does not take, for a file that computes something else, and for a path that cannot be written.
    Nothing is written then.
    """
    from composer.api import build, compose

    format = check_request(to, path, int8=int8, fold_bn=fold_bn, force=force)
    if batch < 1:
        raise InputError(Diagnostic("keyword", f"`batch` is {batch}", label="1 or more"))
    if int8 and images is None:
        raise InputError(Diagnostic("keyword", "`int8` is calibrated on images, and `images` is not given"))
    if isinstance(model, nn.Module):
        subject = Subject.of_module(model, example)
        varying = sizes.tried(subject)
    else:
        graph = compose(model, allow_code=allow_code)
        varying = planned(graph)
        subject = of_built(build(model, weights=weights, allow_code=allow_code))
    found = calibration(subject, images) if int8 else None
    return exported(
        subject,
        format,
        None if path is None else Path(path),
        varying,
        images=found,
        fold_bn=fold_bn,
        static=static,
        batch=batch,
        force=force,
    )


def of_built(model: ComposedModule) -> Subject:
    """A network that was built for this; it is changed to eval mode."""
    return Subject.of_graph(model.eval().requires_grad_(False), model.graph)


def planned(graph: Composition) -> Varying:
    """The axes of a composed network that may vary, as far as is known before any weight exists."""
    with torch.device("meta"):
        module = compile_graph(graph).eval()
    return sizes.tried(Subject.of_graph(module, graph))


def exported(
    subject: Subject,
    format: Format,
    path: Path | None,
    varying: Varying,
    *,
    images: Sequence[list[Tensor]] | None = None,
    fold_bn: bool = False,
    static: bool = False,
    batch: int = 1,
    force: bool = False,
    tell: Tell = lambda _: None,
) -> Exported:
    """Export a network whose request was checked; the report.

    varying  the axes that may vary, as `planned` and `sizes.tried` find them
    images   what the network is called with, for each image that calibrates it; None: do not quantise
    tell     is called with the name of each step
    Other arguments, and what it raises: see `export`.
    """
    if static or format.sizes is Sizes.FIXED:
        varying = Varying(frozenset())
    with tempfile.TemporaryDirectory(prefix="composer-export-") as folder:
        file = Path(folder) / (path.name if path is not None else f"network{format.ending}")
        while True:
            attempt = _Attempt(subject, format, file, varying, images, fold_bn, batch, tell)
            try:
                report = attempt.made()
            except ComposerError:
                raise
            except BaseException as error:
                if not is_error(error):
                    raise
                if not attempt.varying.axes:
                    raise InputError(attempt.refusal(error)) from error
                varying = attempt.fewer(error)
                _clear(Path(folder))
                continue
            tell("writing")
            return replace(report, files=() if path is None else tuple(_place(Path(folder), path, force)))


class _Attempt:
    """An attempt with certain varying axes: engines may refuse what torch.export records."""

    def __init__(
        self,
        subject: Subject,
        format: Format,
        file: Path,
        varying: Varying,
        images: Sequence[list[Tensor]] | None,
        fold_bn: bool,
        batch: int,
        tell: Tell,
    ) -> None:
        self.format, self.file, self.tell = format, file, tell
        self.images, self.fold_bn = images, fold_bn
        self.bounded = format.sizes is Sizes.BOUNDED
        self.writer = importlib.import_module(format.writer)
        tell("recording")
        with quiet():
            recorded = record(subject, varying, batch, bounded=self.bounded)
        self.subject, self.program, self.varying = recorded
        self.graph = self.program.graph
        check_operators(self.subject, self.graph, format)

    def made(self) -> Exported:
        """Convert, load, run and compare; the report. Raises whatever the engine raises."""
        folded = self._changed()
        job = Job(self.subject, self.program, self.varying, self.file, self.fold_bn, self.images is not None)
        self.tell(f"converting to {self.format.name}")
        with quiet():
            self.writer.write(job)
            self.tell("running the file")
            runner: Runner | None = self.writer.load(job)
            runs = self._runs(runner) if runner is not None else ()
            # A file that is not run here has its accuracy from the program that it was made of.
            accuracy = self._accuracy(runner or self._expected) if self.images is not None else None
        return Exported(
            self.subject.name,
            self.format.name,
            self.format.version,
            (),
            sum(one.stat().st_size for one in self.file.parent.rglob("*") if one.is_file()),
            dict(zip(self.subject.inputs, self._axes(), strict=True)),
            self.varying.words,
            tuple(str(one.message) for one in self.varying.reasons),
            runs,
            "" if runner is not None else "its engine is not on this system; its description was checked",
            folded,
            self.format.quantizer if self.images is not None else "",
            accuracy,
        )

    def _changed(self) -> tuple[int, int] | None:
        """Fold norms and quantise, as requested; how many norms were folded, and how many there were."""
        if not self.fold_bn and self.images is None:
            return None
        module = self.program.module()
        with quiet():
            folded = fold_norms(module) if self.fold_bn else None
            if self.images is not None:
                from composer.exporting.quantise import quantised

                self.tell("calibrating")
                module = quantised(self.subject, module, self.format, map(self._shaped, self._split()[0]))
            drop_unused(module)
            self.program = record_again(self.subject, module, self.varying, bounded=self.bounded)
        return folded

    def _split(self) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """Images that calibrate, and every fourth, which is held back."""
        assert self.images is not None
        kept = [one for number, one in enumerate(self.images) if number % HELD_BACK != 1]
        return kept, [one for number, one in enumerate(self.images) if number % HELD_BACK == 1]

    def _shaped(self, tensors: list[Tensor]) -> list[Tensor]:
        """An example as the network is called with it: as a batch of its own, or repeated where no other batch goes."""
        if "b" in self.varying.axes:
            return tensors
        sizes = [len(one) for one in self.subject.tensors]
        return [one.expand(size, *one.shape[1:]) for one, size in zip(tensors, sizes, strict=True)]

    def _runs(self, runner: Runner) -> tuple[Run, ...]:
        """Runs on the network's own size, and on others if they may vary. Raises ValueError for what differs."""
        axes = self.varying.axes
        inputs = [self.subject.tensors]
        if axes:
            inputs.append(self.subject.sized(lambda axis, n: sizes.larger(axis, n) if axis in axes else n))
        if "b" in axes:
            inputs.append(self.subject.sized(lambda axis, n: BATCH + 1 if axis == "b" else n, seed=2))
        found = []
        for tensors in inputs:
            run = run_of(tensors, runner(tensors), self._expected(tensors))
            tolerance = TOLERANCE if self.images is None else TOLERANCE_INT8
            if not run.relative <= tolerance:
                raise Differs(f"on {run.words} an output differs by {run.relative:.1e} of its largest value")
            found.append(run)
        return tuple(found)

    def _expected(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """What the network gives; quantised, what the quantised program gives."""
        if self.images is None:
            return self.subject.outputs(tensors)
        called = self.subject.with_tensors(tensors)
        with torch.no_grad():
            return self.subject.flat(self.program.module()(*called.args, **called.kwargs))

    def _accuracy(self, runner: Runner) -> Accuracy:
        calibrated, held = self._split()
        shaped = [self._shaped(one) for one in held]
        found = [_first(runner(one)) for one in shaped]
        return accuracy(found, [_first(self.subject.outputs(one)) for one in shaped], len(calibrated))

    def _axes(self) -> Iterable[str]:
        for tensor, axes in zip(self.subject.tensors, self.subject.axes, strict=True):
            names = [axes[at] if axes.get(at) in self.varying.axes else str(n) for at, n in enumerate(tensor.shape)]
            yield "×".join(names) or "a scalar"

    def fewer(self, error: BaseException) -> Varying:
        """The axes without height and width, or without any, since the engine does not take them."""
        axes = self.varying.axes & sizes.HEIGHT_AND_WIDTH or self.varying.axes
        what = "images of every size" if axes & sizes.HEIGHT_AND_WIDTH else "batches of every size"
        path = self._blamed(error)
        where = blame.named(self.subject, path[1]) if path else f"`{self.subject.name}`"
        text = f"`{self.format.name}` cannot take {where} for {what}: {blame.first_line(error)}"
        return self.varying.without(axes, blame.at_node(self.subject, path[1] if path else None, text))

    def refusal(self, error: BaseException) -> Diagnostic:
        """The problem of a network that the engine does not take."""
        if isinstance(error, Differs):
            text = f"`{self.subject.name}` exported to `{self.format.name}` computes something else: {error}"
            help = ("nothing was written; export to another format",)
            return Diagnostic("export-differs", text, label=f"at most {TOLERANCE:g}", help=help)
        if found := self._blamed(error):
            return refusal(self.subject, self.format, *found, f"which fails: {blame.first_line(error)}")
        text = f"`{self.format.name}` cannot take `{self.subject.name}`: {blame.first_line(error)}"
        return Diagnostic("export", text, help=("nothing was written; export to another format",))

    def _blamed(self, error: BaseException) -> tuple[str, str] | None:
        """The operator that the engine's error names, and the path of the first node that calls it."""
        return blame.of_operator(self.graph, error) or blame.of_operator(self._decomposed(), error)

    def _decomposed(self) -> Any:
        with quiet():
            return self.program.run_decompositions().graph


class Differs(ValueError):
    """A file computes something else than the network."""


def _first(outputs: list[Tensor]) -> list[Tensor]:
    """The outputs of the first example alone."""
    return [one[:1] for one in outputs]


def _clear(folder: Path) -> None:
    for one in folder.iterdir():
        shutil.rmtree(one) if one.is_dir() else one.unlink()


def _place(folder: Path, path: Path, force: bool) -> list[Path]:
    """Move the files to where they belong, all or none; the file itself is placed last and returned first."""
    made = sorted((one for one in folder.rglob("*") if one.is_file()), key=lambda one: one.name == path.name)
    targets = [path.parent / one.relative_to(folder) for one in made]
    with staged(targets, force=force) as temporary:
        for source, target in zip(made, temporary, strict=True):
            shutil.copyfile(source, target)
    return targets[::-1]


def calibration(subject: Subject, images: Any) -> list[list[Tensor]]:
    """What a network is called with for each image, which calibrate it and measure its accuracy.

    images  paths of photographs and folders, or a batch b c h w
    Raises InputError for a network that takes other inputs than one image, and for fewer than two images.
    """
    if len(subject.inputs) != 1:
        text = f"`{subject.name}` takes {len(subject.inputs)} inputs, and is calibrated on images alone"
        raise InputError(Diagnostic("input", text, label="a network with one input"))
    shape = tuple(subject.tensors[0].shape[1:])
    if isinstance(images, Tensor):
        if tuple(images.shape[1:]) != shape:
            found, asked = ("×".join(map(str, one)) for one in (images.shape, ("b", *shape)))
            raise InputError(Diagnostic("input", f"`images` is {found}", label=asked))
        examples = [[one] for one in images.to(subject.tensors[0]).split(1)]
    else:
        module = subject.module
        if not isinstance(module, ComposedModule):
            text = "photographs are prepared as a spec says, and this module has none"
            raise InputError(Diagnostic("image", text, label="`images`: a batch b c h w"))
        if len(shape) != 3:
            raise InputError(Diagnostic("input", f"`{subject.name}` takes no images", label="an input c h w"))
        given = [images] if isinstance(images, str | Path) else images
        files = find_images(map(Path, given))
        examples = [[one] for one in read_batches(files, input_of(module), shape, 1)]
    if len(examples) < 2:
        text = f"quantisation is given {len(examples)} image"
        raise InputError(Diagnostic("image", text, label="2 or more: some calibrate, others measure the accuracy"))
    return examples
