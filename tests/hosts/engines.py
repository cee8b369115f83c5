"""What other tools do with ten models of other libraries that have insertions, each tool a function:

python -m tests.hosts.engines [--engines GLOB …] [--models GLOB …]
writes examples/tables/engines_foreign.md, in which cells that were not chosen stay as they were.
"""

from __future__ import annotations

import argparse
import copy
import fnmatch
import io
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import composer

from ..engines.ranks import SIZE, Ranks
from .foreign import MODELS, Foreign, outputs, traced
from .nets import numbers

Engine = Callable[[Foreign, nn.Module, Path], None]


class Flat(nn.Module):
    """A model whose outputs are a tuple of tensors, for tracers that know no classes of outputs."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        found = self.model(images)
        if isinstance(found, Tensor):
            return (found,)
        return tuple(one for one in found.values() if isinstance(one, Tensor))


def part(foreign: Foreign, model: nn.Module) -> nn.Module:
    """What tracers are given."""
    found = traced(foreign, model)
    return found if foreign.library == "timm" else Flat(found)


def alike(found: Any, wanted: Any, of_the_spread: float = 1e-4) -> None:
    """Equal but for a part of the outputs' spread; 0: bit for bit."""
    mine, its = numbers(found), numbers(wanted)
    assert len(mine) == len(its) > 0
    for one, other in zip(mine, its, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=of_the_spread * other.float().std().item())


def gradients(foreign: Foreign, model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Of all parameters that the outputs depend on."""
    model.zero_grad()
    found = outputs(foreign, model, images)
    sum(one.square().mean() for one in tensors(found)).backward()
    named = {name.removeprefix("module."): one.grad for name, one in model.named_parameters() if one.grad is not None}
    return {name: getattr(one, "full_tensor", one.clone)() for name, one in named.items()}


def tensors(value: Any) -> list[Tensor]:
    """The tensors of floating point of any outputs, as they are."""
    leaves = torch.utils._pytree.tree_leaves(list(value.values()) if hasattr(value, "keys") else value)
    return [one for one in leaves if isinstance(one, Tensor) and one.requires_grad]


def same_gradients(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    """The same of all parameters, inserted ones among them."""
    assert found.keys() == wanted.keys()
    for name, one in wanted.items():
        assert torch.linalg.vector_norm(found[name] - one) <= 1e-6 * torch.linalg.vector_norm(one) + 1e-12, name


def copied(foreign: Foreign, model: nn.Module, folder: Path) -> None:
    """`copy.deepcopy`: a model of the same classes, independent of the first."""
    x, other = foreign.images(), copy.deepcopy(model)
    wanted = outputs(foreign, model, x)
    alike(outputs(foreign, other, x), wanted, 0)
    assert [type(one) for one in other.modules()] == [type(one) for one in model.modules()]
    with torch.no_grad():
        for one in model.parameters():
            one.zero_()
    alike(outputs(foreign, other, x), wanted, 0)
    assert composer.check(other) == []


LOADING = """
import sys, torch
model, images, wanted = torch.load(sys.argv[1], weights_only=False)
import composer
from composer.hosts.recording.nested import tensors_in
with torch.no_grad():
    found = model(images)
pairs = zip(tensors_in(found), tensors_in(wanted), strict=True)
print(all(torch.equal(one, other) for (_, one), (_, other) in pairs), composer.check(model))
"""


def pickled(foreign: Foreign, model: nn.Module, folder: Path) -> None:
    """`torch.save` of the whole model, and `torch.load` in a process that has imported nothing of composer's."""
    images = foreign.images()
    x: Any = list(images.sigmoid()) if foreign.listed else images
    torch.save((model, x, outputs(foreign, model, images)), folder / "model.pt")
    command = [sys.executable, "-W", "ignore", "-c", LOADING, str(folder / "model.pt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[-2:-1] == ["True []"], done.stderr[-500:]


def exported(foreign: Foreign, model: nn.Module, folder: Path) -> None:
    """`torch.export.export`, for any number of images."""
    one = part(foreign, model)
    shapes = ({0: torch.export.Dim("batch", min=2, max=64)},)
    program = torch.export.export(one, (foreign.images(),), dynamic_shapes=shapes)
    x = foreign.images(3)
    alike(program.module()(x), one(x))


def compiled(foreign: Foreign, model: nn.Module, folder: Path) -> None:
    """`torch.compile(fullgraph=True)`: no graph breaks at an insertion."""
    x, one = foreign.images(), part(foreign, model)
    torch.compiler.reset()
    alike(torch.compile(one, fullgraph=True, backend="eager")(x), one(x))


def jit_traced(foreign: Foreign, model: nn.Module, folder: Path) -> None:
    """`torch.jit.trace`."""
    x, one = foreign.images(), part(foreign, model)
    alike(torch.jit.trace(one, x)(x), one(x))


def symbolically_traced(foreign: Foreign, model: nn.Module, folder: Path) -> None:
    """`torch.fx.symbolic_trace`."""
    x, one = foreign.images(), traced(foreign, model)
    alike(torch.fx.symbolic_trace(one)(x), one(x))


def onnx(foreign: Foreign, model: nn.Module, folder: Path) -> None:
    """`torch.onnx.export(dynamo=True)`, run by onnxruntime."""
    import onnxruntime

    one, x = part(foreign, model), foreign.images()
    program = torch.onnx.export(one, (x,), dynamo=True, verbose=False)
    file = io.BytesIO()
    program.save(file)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    alike([torch.from_numpy(each) for each in found], list(numbers(one(x))), 1e-2)


def averaged(foreign: Foreign, model: nn.Module, folder: Path) -> None:
    """timm's `ModelEmaV3`."""
    from timm.utils import ModelEmaV3

    x, average = foreign.images(), ModelEmaV3(model, decay=0.0)
    with torch.no_grad():
        for one in model.parameters():
            one.mul_(1.01)
    average.update(model)
    alike(outputs(foreign, average.module, x), outputs(foreign, model, x))
    assert composer.check(average.module) == []


def lora(foreign: Foreign, model: nn.Module, folder: Path) -> None:
    """PEFT's LoRA at every linear layer and 1×1 convolution, inserted ones too, trained and merged."""
    import peft

    x = foreign.images()
    names = [path for path, one in model.named_modules() if type(one) is nn.Linear or _is_pointwise(one)]
    wanted = outputs(foreign, copy.deepcopy(model).requires_grad_(False), x)
    keys = list(model.state_dict())
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=names)).eval()
    alike(outputs(foreign, adapted, x), wanted, 0)
    sum(one.square().mean() for one in tensors(outputs(foreign, adapted, x))).backward()
    trained = [one for name, one in adapted.named_parameters() if "lora_B" in name and one.grad is not None]
    assert trained
    with torch.no_grad():
        for one in trained:
            one.normal_(std=0.001)
    changed = outputs(foreign, adapted, x)
    merged = adapted.merge_and_unload()
    alike(outputs(foreign, merged, x), changed, 1e-3)
    assert list(merged.state_dict()) == keys
    assert composer.check(merged) == []


def _is_pointwise(one: nn.Module) -> bool:
    return type(one) is nn.Conv2d and one.kernel_size == (1, 1) and one.groups == 1


def dynamically_quantised(foreign: Foreign, model: nn.Module, folder: Path) -> None:
    """`torch.ao.quantization.quantize_dynamic`: no insertion is lost."""
    x = foreign.images()
    quantised = torch.ao.quantization.quantize_dynamic(copy.deepcopy(model), {nn.Linear}, dtype=torch.qint8)
    linear = torch.ao.nn.quantized.dynamic.Linear
    found = sum(type(one) is linear for one in quantised.modules())
    # It goes by exact class, and passes over what timm derives from torch's.
    assert found == sum(type(one) is nn.Linear for one in model.modules())
    assert composer.check(quantised) == []
    assert len(tensors_of(foreign, quantised, x)) == len(tensors_of(foreign, model, x))


def int8(foreign: Foreign, model: nn.Module, folder: Path) -> None:
    """torchao's `quantize_` with int8 weights."""
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    x = foreign.images()
    wanted = tensors_of(foreign, model, x)
    quantize_(model, Int8WeightOnlyConfig())
    kinds = {type(one.weight).__name__ for one in model.modules() if isinstance(one, nn.Linear)}
    assert kinds == {"Int8Tensor"}
    found = tensors_of(foreign, model, x)
    if not foreign.listed:
        alike(found, wanted, 0.2)
    assert composer.check(model) == []


def pt2e(foreign: Foreign, model: nn.Module, folder: Path) -> None:
    """torchao's PT2E quantisation for x86."""
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
        X86InductorQuantizer,
        get_default_x86_inductor_quantization_config,
    )

    one, x = part(foreign, model), foreign.images()
    quantizer = X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(torch.export.export(one, (x,)).module(), quantizer)
    wanted = prepared(x)
    quantised = convert_pt2e(prepared)
    assert sum("quantize" in str(node.target) for node in quantised.graph.nodes) > 0
    alike(quantised(x), wanted, 1.0)


def tensors_of(foreign: Foreign, model: nn.Module, x: Tensor) -> list[Tensor]:
    """What the model gives, without gradients."""
    with torch.no_grad():
        return numbers(outputs(foreign, model, x))


def checkpointed(foreign: Foreign, model: nn.Module, folder: Path) -> None:
    """timm's `set_grad_checkpointing`, transformers' `gradient_checkpointing_enable`: the same gradients."""
    host: Any = model.double()
    x = foreign.images().double()
    if foreign.library == "transformers":
        # It checkpoints in training alone; nothing in these two is random.
        host.train()
    wanted = gradients(foreign, host, x)
    if foreign.library == "timm":
        host.set_grad_checkpointing(True)
    else:
        host.gradient_checkpointing_enable()
    same_gradients(gradients(foreign, host, x), wanted)


def intermediates(foreign: Foreign, model: nn.Module, folder: Path) -> None:
    """timm's `forward_intermediates`, which a head takes on from, as `forward` does."""
    host: Any = model
    x = foreign.images()
    last, maps = host.forward_intermediates(x)
    alike(host.forward_head(last), host(x), 1e-5)
    assert len(maps) >= 3


def features_only(foreign: Foreign, model: nn.Module, folder: Path) -> None:
    """timm's `create_model(features_only=True)` takes the rules: its maps depend on every insertion."""
    import timm

    found: Any = timm.create_model(**_made_by(foreign), features_only=True).eval()
    if composer.inserted(model):
        composer.insert(found, list(foreign.rules), foreign.images())
    sum(one.square().mean() for one in found(foreign.images())).backward()
    assert all(one.grad is not None for one in composer.inserted(found))
    assert composer.check(found) == []


def _made_by(foreign: Foreign) -> dict[str, Any]:
    """The arguments of `timm.create_model` for a model."""
    made: Any = foreign.make
    name, options = (cell.cell_contents for cell in made.__closure__)
    return {"model_name": name, **options}


def hidden_states(foreign: Foreign, model: nn.Module, folder: Path) -> None:
    """transformers' `output_hidden_states`: those of blocks are what comes out behind the insertions."""
    host: Any = model
    x, seen = foreign.images(), []
    for path in foreign.paths(model):
        model.get_submodule(path).register_forward_hook(lambda _, inputs, output: seen.append(output))
    found = host(x, output_hidden_states=True)
    states = found.hidden_states
    assert len(states) > 2
    alike(found.logits, host(x).logits, 0)
    last = seen[len(foreign.paths(model)) - 1]
    assert torch.equal(states[-1], last[0] if isinstance(last, tuple) else last)


def pretrained(foreign: Foreign, model: nn.Module, folder: Path) -> None:
    """transformers' `save_pretrained`, and `from_pretrained` of a class whose constructor inserts."""
    made, changed = type(model), bool(composer.inserted(model))

    class Again(made):  # type: ignore[misc, valid-type]
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            if changed:
                composer.insert(self, list(foreign.rules), foreign.images())

    host: Any = model
    host.save_pretrained(folder)
    again, report = Again.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    x = foreign.images()
    alike(again.eval()(x), host(x), 0)


def _model(name: str, changed: bool) -> tuple[Foreign, nn.Module]:
    foreign = next(one for one in MODELS if one.name == name)
    return foreign, (foreign.changed() if changed else foreign.plain()).double()


def _share(foreign: Foreign, rank: int) -> Tensor:
    images = foreign.images(2 * SIZE).double()
    # A detector's numbers of boxes differ from image to image, and so would weights of their means.
    return images[:2] if foreign.listed else images.chunk(SIZE)[rank]


def _parallel(rank: int, name: str, changed: bool) -> dict[str, Tensor]:
    foreign, model = _model(name, changed)
    wrapped = nn.parallel.DistributedDataParallel(model, find_unused_parameters=foreign.listed)
    return gradients(foreign, wrapped, _share(foreign, rank))


def _sharded(rank: int, name: str, changed: bool) -> dict[str, Tensor]:
    from torch.distributed.fsdp import fully_shard

    foreign, model = _model(name, changed)
    for path in foreign.paths(model):
        fully_shard(model.get_submodule(path))
    return gradients(foreign, fully_shard(model), _share(foreign, rank))


def _spread(function: Callable[..., Any]) -> Engine:
    def engine(foreign: Foreign, model: nn.Module, folder: Path) -> None:
        changed = bool(composer.inserted(model))
        images = foreign.images(2 * SIZE).double()
        wanted = gradients(foreign, model.double(), images[:2] if foreign.listed else images)
        ranks = Ranks(folder)
        try:
            for found in ranks.run(function, foreign.name, changed):
                same_gradients(found, wanted)
        finally:
            ranks.close()

    return engine


PACKAGES = ("torch", "torchvision", "timm", "transformers", "onnxruntime", "peft", "torchao")
EVERY = ("timm", "torchvision", "transformers")
# Title, the libraries that have it, and the function.
ENGINES: dict[str, tuple[tuple[str, ...], Engine]] = {
    "deepcopy": (EVERY, copied),
    "pickle in a fresh process": (EVERY, pickled),
    "torch.export": (EVERY, exported),
    "torch.compile of the full graph": (EVERY, compiled),
    "torch.jit.trace": (EVERY, jit_traced),
    "torch.fx": (EVERY, symbolically_traced),
    "ONNX": (EVERY, onnx),
    "timm's EMA": (EVERY, averaged),
    "PEFT LoRA and merge": (EVERY, lora),
    "quantize_dynamic": (EVERY, dynamically_quantised),
    "torchao int8": (EVERY, int8),
    "PT2E": (EVERY, pt2e),
    "gradient checkpointing": (("timm", "transformers"), checkpointed),
    "DDP": (EVERY, _spread(_parallel)),
    "FSDP2": (EVERY, _spread(_sharded)),
    "forward_intermediates": (("timm",), intermediates),
    "features_only": (("timm",), features_only),
    "output_hidden_states": (("transformers",), hidden_states),
    "from_pretrained": (("transformers",), pretrained),
}


# What refuses a model with insertions and without them, in the same words.
LIMITS = {
    ("torch.fx", "ViT"): "TraceError",
    ("torch.fx", "ConvNext"): "TraceError",
    ("gradient checkpointing", "ConvNext"): "ValueError",
}


def attempt(title: str, foreign: Foreign, model: nn.Module) -> str:
    """What an engine says against a model; empty if it holds."""
    engine = ENGINES[title][1]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                engine(foreign, model, Path(folder))
        except Exception as error:
            lines = [line for line in str(error).splitlines() if line.strip()] or [""]
            return f"{type(error).__name__}: {re.sub(r'0x[0-9a-f]+|:[0-9]+', '', lines[0])[:150]}"
    return ""


PAGE = Path(__file__).parents[2] / "examples" / "tables" / "engines_foreign.md"
# (engine, name of the model) -> the word in the table, and why.
Cells = dict[tuple[str, str], tuple[str, str]]


def read(page: str) -> Cells:
    """The cells of a written page."""
    rows = [line[1:-1].split("|") for line in page.splitlines() if line.startswith("| ")]
    words = {
        (row[0].strip(), one.name): word.strip() for row in rows[1:] for one, word in zip(MODELS, row[1:], strict=True)
    }
    notes = dict(re.findall(r"^- (.+?): (.+)$", page, re.MULTILINE))
    return {place: (word, notes.get(", ".join(place), "")) for place, word in words.items()}


def lines(cells: Cells) -> Iterable[str]:
    """The page in Markdown."""
    yield "# Engines on models of other libraries\n"
    yield "What each engine does with models that have `se` after each branch (in Swin after each MLP) and `eca` after"
    yield "each block: outputs, gradients and keys are as they must be, and every insertion still sits."
    yield "*As without*: the engine refuses the model without insertions too, in the words below. `–`: not its library."
    yield "Tracers, compilers and PT2E are given a detector's backbone, since the rest of it decides by numbers."
    yield "Made by `python -m tests.hosts.engines`, and held to it by `tests/hosts/test_engines.py`."
    yield "Rows and columns may be made alone, by `--engines` and `--models`: the others stay as they were.\n"
    yield f"| engine | {' | '.join(f'{one.library} {one.name}' for one in MODELS)} |"
    yield "|---" * (len(MODELS) + 1) + "|"
    for title in ENGINES:
        words = (cells.get((title, one.name), ("", ""))[0] for one in MODELS)
        yield f"| {title} | {' | '.join(words)} |"
    notes = {", ".join(place): note for place, (_, note) in cells.items() if note}
    yield from ("", *(f"- {where}: {note}" for where, note in notes.items()), "")
    yield f"Versions: {', '.join(f'{name} {version(name)}' for name in PACKAGES)}."


def cell(title: str, foreign: Foreign) -> tuple[str, str]:
    """What the table says of an engine and a model, and why; where one does not hold, the plain model is asked too."""
    if foreign.library not in ENGINES[title][0]:
        return "–", ""
    if not (found := attempt(title, foreign, foreign.changed())):
        return "pass", ""
    plain = attempt(title, foreign, foreign.plain())
    # An assertion is of the function's own: the engine has answered, and not as it must.
    alone = plain.partition(":")[0] != found.partition(":")[0] or found.startswith("AssertionError")
    return ("FAILS" if alone else "as without"), found


def _matches(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(name, one) for one in globs)


def main() -> None:
    """Run the cells that are chosen, and write each at once."""
    parser = argparse.ArgumentParser(prog="python -m tests.hosts.engines")
    parser.add_argument("--engines", nargs="*", default=["*"], help="globs over the rows")
    parser.add_argument("--models", nargs="*", default=["*"], help="globs over the columns")
    options = parser.parse_args()
    cells = read(PAGE.read_text(encoding="utf-8"))
    for title in ENGINES:
        for foreign in MODELS:
            if _matches(title, options.engines) and _matches(foreign.name, options.models):
                cells[title, foreign.name] = cell(title, foreign)
                print(title, "|", foreign.name, "|", *cells[title, foreign.name], flush=True)
                PAGE.write_text("\n".join([*lines(cells), ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
