"""The formats that networks are exported to, what each needs and takes. Imports no torch: the command line reads it."""

from __future__ import annotations

import enum
import importlib.util
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from composer.errors import Diagnostic, InputError, UnavailableError, did_you_mean, one_of
from composer.files import check_target


class Sizes(enum.Enum):
    """The axes of inputs whose lengths may differ from run to run."""

    ANY = "any batch, height and width"
    BOUNDED = "any batch, height and width up to a bound"
    FIXED = "fixed sizes"


@dataclass(frozen=True)
class Format:
    """A format.

    name       as in `--to NAME`
    ending     of the file
    sizes      the axes that may vary
    writer     the module that writes and runs it
    extra      the extra of this package that it needs; empty for none
    packages   packages of that extra: the name to import -> the name to install
    engine     the package that runs the file, whose version a report has
    quantizer  what `--int8` quantises with, in words; empty if the format has none
    folds      whether norms can be folded into the weights before them
    runs       whether the file is run here; otherwise its description is read back and compared
    beside     endings of further files that stand beside the file
    """

    name: str
    ending: str
    sizes: Sizes
    writer: str
    engine: str
    extra: str = ""
    packages: tuple[tuple[str, str], ...] = ()
    quantizer: str = ""
    folds: bool = True
    runs: bool = True
    beside: tuple[str, ...] = ()

    def require(self, *, int8: bool = False) -> None:
        """Raises UnavailableError, naming the extra, if a package is missing."""
        for module, package in self.packages:
            if not _is_there(module):
                raise missing(package, self.extra, f"the format `{self.name}`")
        if int8 and self.quantizer.startswith("torchao") and not _is_there("torchao"):
            raise missing("torchao", "int8", "`--int8`")
        if int8 and self.name == "openvino":
            FORMATS["onnx"].require()

    def check_output(self, path: Path, *, force: bool) -> None:
        """Raises InputError if the file cannot be written, for use before slow work."""
        if path.suffix != self.ending or not path.stem:
            text = f"`{path}` is no name for a file of the format `{self.name}`"
            raise InputError(Diagnostic("output", text, label=f"a name that ends in {self.ending}"))
        if self.is_folder:
            if path.is_symlink() or (path.exists() and not path.is_dir()):
                check_target(path, force=force)
                text = f"`{path}` is a file, and the format `{self.name}` is a folder"
                raise InputError(Diagnostic("output", text, help=("choose another name",)))
            if path.exists() and not force:
                help = ("choose another name, or replace it with --force",)
                raise InputError(Diagnostic("output-exists", f"`{path}` exists", label="a new folder", help=help))
            return
        for ending in ("", *self.beside):
            check_target(path.with_suffix(ending) if ending else path, force=force)

    @property
    def is_folder(self) -> bool:
        """Whether what is written is a folder of files."""
        return self.name == "coreml"

    @property
    def version(self) -> str:
        """The engine and its version, such as `onnxruntime 1.20.0`."""
        return f"{self.engine} {metadata.version(self.engine)}"


def missing(package: str, extra: str, what: str) -> UnavailableError:
    """The error for a package that is not installed."""
    help = (f"pip install 'attention-composer[{extra}]'",)
    return UnavailableError(Diagnostic("extra", f"`{package}` is not installed, which {what} needs", help=help))


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


_X86 = "torchao PT2E, X86InductorQuantizer"
_WRITERS = "composer.exporting.writers"

FORMATS = {
    one.name: one
    for one in (
        Format(
            "onnx",
            ".onnx",
            Sizes.ANY,
            f"{_WRITERS}.onnx",
            "onnxruntime",
            "export",
            (("onnx", "onnx"), ("onnxscript", "onnxscript"), ("onnxruntime", "onnxruntime")),
            _X86,
        ),
        Format("pt2", ".pt2", Sizes.ANY, f"{_WRITERS}.pt2", "torch", quantizer=_X86),
        Format("safetensors", ".safetensors", Sizes.ANY, f"{_WRITERS}.weights", "safetensors", folds=False),
        Format("torchscript", ".torchscript", Sizes.ANY, f"{_WRITERS}.torchscript", "torch"),
        Format(
            "openvino",
            ".xml",
            Sizes.ANY,
            f"{_WRITERS}.openvino",
            "openvino",
            "openvino",
            (("openvino", "openvino"),),
            f"{_X86}, by way of ONNX",
            beside=(".bin",),
        ),
        Format(
            "executorch",
            ".pte",
            Sizes.BOUNDED,
            f"{_WRITERS}.executorch",
            "executorch",
            "executorch",
            (("executorch", "executorch"),),
            "torchao PT2E, XNNPACKQuantizer of ExecuTorch",
        ),
        Format(
            "litert",
            ".tflite",
            Sizes.FIXED,
            f"{_WRITERS}.litert",
            "ai-edge-litert",
            "litert",
            (("litert_torch", "litert-torch"), ("ai_edge_litert", "ai-edge-litert")),
            "torchao PT2E, PT2EQuantizer of LiteRT",
        ),
        Format(
            "coreml",
            ".mlpackage",
            Sizes.FIXED,
            f"{_WRITERS}.coreml",
            "coremltools",
            "coreml",
            (("coremltools", "coremltools"),),
            _X86,
            runs=False,
        ),
    )
}


def find_format(name: str) -> Format:
    """The format of this name. Raises InputError."""
    if name not in FORMATS:
        text = f"`{name}` is no format that networks are exported to"
        help = did_you_mean(name, FORMATS)
        raise InputError(Diagnostic("format", text, label=one_of(FORMATS), help=help))
    return FORMATS[name]


def check_request(to: str, path: str | Path | None, *, int8: bool, fold_bn: bool, force: bool) -> Format:
    """The format, if it can be written here as requested. Raises InputError or UnavailableError; imports little."""
    format = find_format(to)
    if int8 and not format.quantizer:
        names = ", ".join(f"`{one.name}`" for one in FORMATS.values() if one.quantizer)
        raise InputError(Diagnostic("format", f"`{to}` has no quantizer here", label=f"one of {names}"))
    if fold_bn and not format.folds:
        text = f"`{to}` holds weights for the network of the spec, which has its norms"
        raise InputError(Diagnostic("format", text, help=("leave out `--fold-bn`, or choose another format",)))
    format.require(int8=int8)
    if path is not None:
        format.check_output(Path(path), force=force)
    return format
