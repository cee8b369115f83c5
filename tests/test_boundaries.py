"""Which folder may import what, that nothing imports in a circle, and that the light half never loads torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import networkx as nx
import pytest

import composer

# Names of before, and hints, whose values have none.
ALIASES = {"load", "graph", "NonNegativeInt", "OddInt", "PositiveFloat", "PositiveInt", "Probability"}
PACKAGE = Path(composer.__file__).parent
HEAVY = {"torch", "networkx", "einops", "numpy", "PIL", "safetensors"}
# Text that people read, paths that they give, errors of code that is not ours: they are everywhere, and import little.
ANYWHERE = {"composer.amounts", "composer.visible", "composer.paths", "composer.foreign", "composer.given"}


def _rooms(names: str) -> set[str]:
    return {f"composer.{name}" for name in names.split()}


# Folder or file -> what it may import, at once, inside functions or for type checking, besides the standard library.
ALLOWED = {
    "amounts.py": set(),
    "arithmetic.py": set(),
    "visible.py": set(),
    "paths.py": set(),
    "siblings.py": set(),
    "docstring.py": set(),
    "html.py": set(),
    "errors.py": set(),
    "foreign.py": {"composer.errors"},
    "given.py": {"composer.errors"},
    "torch_private.py": {"torch"},
    "options.py": {"pydantic"},
    "lines.py": {"rich"},
    "finding.py": {"composer.errors"},
    # Whatever is heavy is imported where a card is not enough.
    "index": {"pydantic", *_rooms("api contract dag docstring errors finding index options registry schema spec")},
    "files.py": {"composer.errors"},
    # Plugins in YAML are files of blocks.
    "registry": {"pydantic", *_rooms("errors finding options registry siblings spec")},
    "spec": {"pydantic", "yaml", *_rooms("arithmetic errors options spec")},
    # Bounds of options are pydantic fields.
    "kernels": {"torch", *_rooms("kernels torch_private")},
    "layers": {"torch", "einops", *_rooms("arithmetic kernels registry options seeds layers")},
    "mechanisms": {"torch", "einops", "pydantic", *_rooms("arithmetic kernels layers registry options mechanisms")},
    "dag": {"torch", "networkx", *_rooms("errors options registry spec dag torch_private")},
    # It writes the text of specs; whoever asks for one composes it.
    # What was imported is proven to be the same: it is built once.
    "importing": {"torch", *_rooms("api dag errors hosts importing layers registry sources spec torch_private")},
    "hosts": {"torch", "pydantic", "yaml", *_rooms("arithmetic compile dag errors registry spec hosts torch_private")},
    "load_report.py": _rooms("errors spec"),
    "seeds.py": {"torch", *_rooms("torch_private")},
    "compile": {"torch", *_rooms("errors kernels registry dag load_report seeds shared spec compile torch_private")},
    "weights": {
        *("torch", "safetensors"),
        *_rooms("errors registry spec dag compile hosts load_report torch_private weights"),
    },
    "shared.py": {"torch"},
    "recording.py": {"torch", *_rooms("registry shared torch_private")},
    "annealing.py": {"torch"},
    "timing.py": {"torch", *_rooms("compile dag")},
    "alike.py": {"composer.dag"},
    "extraction.py": _rooms("dag errors spec"),
    "sources": {"torch", "numpy", "onnx", *_rooms("dag errors hosts siblings spec sources")},
    # What a recorded model keeps for the backward pass is seen when it is recorded at two batch sizes.
    "summary": {"torch", *_rooms("alike compile dag errors hosts kernels lines spec summary torch_private")},
    "difference": _rooms("alike dag difference lines summary"),
    "draw": {"cairosvg", "cairocffi", "PIL", *_rooms("dag draw errors")},
    "ejecting": {"torch", "networkx", *_rooms("__version__ amounts compile dag ejecting errors registry spec")},
    "page": {
        "torch",
        *_rooms("compile dag difference docstring draw errors hosts html lines mathml page registry spec summary"),
    },
    "values": {"torch", "PIL", *_rooms("compile dag draw errors values")},
    "images.py": {"PIL", "numpy", "torch", *_rooms("compile errors spec")},
    "looking": {
        *("torch", "numpy", "PIL", "matplotlib", "pytorch_grad_cam"),
        *_rooms("annealing compile dag errors files html images looking recording registry spec"),
    },
    "contract": {
        *("torch", "onnxruntime", "onnxscript", "torchao"),
        *_rooms("compile contract dag docstring errors options registry torch_private"),
    },
    # A format is a file in it; whoever exports a source builds it first.
    "exporting": {
        *("torch", "numpy", "safetensors", "onnxruntime", "openvino", "executorch", "coremltools"),
        *("litert_torch", "ai_edge_litert"),
        *_rooms("api artefacts compile dag errors exporting files hosts images network sources spec weights"),
    },
    "benchmark": {
        *("torch", "numpy"),
        *_rooms("benchmark compile dag errors hosts lines registry sources spec summary timing"),
    },
    "comparing": {
        *("numpy", "pydantic", "pydantic_core", "torch", "ray"),
        *_rooms(
            "__version__ benchmark candidates comparing compile dag errors files html lines network options registry"
            " seeds spec summary training weights"
        ),
    },
    "searching": {"optuna", *_rooms("comparing dag errors files searching seeds spec training")},
    "scanning": _rooms("__version__ comparing dag errors html network registry scanning spec training"),
    "inference": {"torch", *_rooms("benchmark compile errors hosts inference lines torch_private")},
    "sharing": {
        *("torch", "huggingface_hub"),
        *_rooms(
            "api artefacts compile dag devices draw errors files finding lines registry sharing siblings spec summary"
            " weights"
        ),
        "composer.__version__",
    },
    # Libraries of the extra are imported by name, where they are needed.
    # Places are the network's, memory the summary's, figures and pages those of looks.
    "training": {
        *("torch", "numpy", "PIL", "pydantic", "lightning", "safetensors", "torchmetrics", "matplotlib"),
        *_rooms(
            "__version__ annealing api artefacts benchmark compile dag devices errors files foreign images looking"
            " network seeds spec summary torch_private training weights"
        ),
    },
    "candidates.py": _rooms("dag errors registry spec summary"),
    # `lsp` speaks to editors, `preview` to browsers; the rest knows neither.
    "live": {
        *("pygls", "lsprotocol"),
        *_rooms("amounts dag difference docstring draw errors html index live network page schema spec"),
        "composer.__version__",
    },
    "notebook.py": {"IPython", "torch", *_rooms("dag draw html page")},
    "network.py": {"networkx", "torch", *_rooms("dag notebook saving summary")},
    "saving.py": {"torch", *_rooms("dag draw errors files page")},
}


def imports(source: str) -> set[str]:
    """What a module imports: at once, inside functions, and for type checking."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def violations(source: str, allowed: set[str]) -> list[str]:
    wrong = []
    for name in sorted(imports(source)):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or any(name == one or name.startswith(f"{one}.") for one in allowed):
            continue
        wrong.append(name)
    return wrong


@pytest.mark.parametrize("room", ALLOWED)
def test_rooms_import_only_what_they_may(room: str) -> None:
    place = PACKAGE / room
    for file in [place] if place.is_file() else sorted(place.rglob("*.py")):
        assert not violations(file.read_text(), ALLOWED[room] | ANYWHERE), file


def circles(sources: Mapping[str, str]) -> list[list[str]]:
    """Modules that import one another, by any kind of import, and rooms that do; sources by dotted name."""
    modules: nx.DiGraph[str] = nx.DiGraph()
    for name, source in sources.items():
        for found in imports(source):
            # `from a.b import c` imports the module a.b.c where there is one, else the name c of a.b.
            if (target := found if found in sources else found.rpartition(".")[0]) in sources:
                modules.add_edge(name, target)
    rooms = nx.DiGraph((_room(one), _room(other)) for one, other in modules.edges if _room(one) != _room(other))
    found = [*nx.strongly_connected_components(modules), *nx.strongly_connected_components(rooms)]
    return [sorted(one) for one in found if len(one) > 1]


def _room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def test_nothing_imports_in_a_circle() -> None:
    files = {".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts): file for file in PACKAGE.rglob("*.py")}
    sources = {name.removesuffix(".__init__"): file.read_text() for name, file in files.items()}
    assert len(sources) > 250
    # What the package's own file offers by name is made above, on demand.
    assert not circles({name: source for name, source in sources.items() if name != "composer"})


def by_name(source: str) -> set[str]:
    """The modules of composer that a module imports by a name in a string, which the tests above do not see."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args)
    named = (node.args[0] for node in calls if ast.unparse(node.func).endswith("import_module"))
    return {one.value for one in named if isinstance(one, ast.Constant) and str(one.value).startswith("composer.")}


# Rooms above their own: what makes and edits models of other libraries is imported when there is such a model.
ABOVE = {
    # Of what a rule uses, the index knows the usual place and the options.
    "spec/known.py": {"composer.index.card"},
    "spec/libraries.py": {"composer.sources"},
    "dag/composition.py": {"composer.sources", "composer.hosts.edits.naming"},
    "dag/sketch.py": {"composer.sources"},
    "compile/hosted.py": {"composer.sources", "composer.hosts.edits.realise"},
    # It stands beside the package, whichever one it is.
    "second_name/attention_composer.py": {"composer.__main__"},
}


def test_what_is_imported_by_name_is_known() -> None:
    found = {file.relative_to(PACKAGE).as_posix(): by_name(file.read_text()) for file in PACKAGE.rglob("*.py")}
    assert {name: modules for name, modules in found.items() if modules} == ABOVE


def test_the_tests_can_fail() -> None:
    assert by_name('importlib.import_module("composer.sources").make()') == {"composer.sources"}
    assert violations("import torch", ALLOWED["spec"]) == ["torch"]
    assert violations("from composer.layers import conv", ALLOWED["compile"]) == ["composer.layers.conv"]
    assert violations("def f():\n    import torch", ALLOWED["spec"]) == ["torch"]
    typing = "if TYPE_CHECKING:\n    from composer.page import render"
    assert violations(typing, ALLOWED["draw"]) == ["composer.page.render"]
    lazy = "def f():\n    from composer.a.y import g"
    assert circles({"composer.a.x": "from composer.b import z", "composer.a.y": "", "composer.b.z": ""}) == []
    assert circles({"composer.a.x": "import composer.a.y", "composer.a.y": "import composer.a.x"}) == [
        ["composer.a.x", "composer.a.y"]
    ]
    rooms = {"composer.a.x": "from composer.b import z", "composer.a.y": "", "composer.b.z": lazy}
    assert circles(rooms) == [["composer.a", "composer.b"]]


def test_every_public_name_is_listed_and_is_there() -> None:
    assert set(composer.__all__) <= set(dir(composer))
    for name in composer.__all__:
        assert getattr(composer, name).__name__ == name or name in ALIASES
    assert composer.load is composer.load_spec
    assert composer.graph is composer.compose
    code = "import composer, sys; assert set(composer.__all__) <= set(dir(composer)); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


LIGHT = [
    "--help",
    "list",
    "list mechanisms squeeze",
    "show cbam",
    "show se-net",
    "schema",
    "bench --help",
    "export --help",
]


@pytest.mark.parametrize("words", LIGHT)
def test_what_needs_no_network_is_answered_from_the_index(words: str) -> None:
    code = f"""
import sys
from composer.__main__ import main
sys.argv = ["composer", *{words.split()!r}]
try:
    main()
finally:
    print(sorted({HEAVY | {"composer.registry"}!r} & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == (words == "show se-net"), done.stderr
    assert done.stderr.splitlines()[-1] == "[]"


def test_spec_problems_are_answered_without_torch(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("backbone: resnet50\nattention:\n  - {use: se, afer: branch}\n")
    gone = tmp_path / "gone.yaml"
    gone.write_text("backbone: resnet50\nweights: gone.pt\n")
    code = f"""
import sys, composer
composer.load("resnet50")
try:
    composer.load({str(bad)!r})
except composer.SpecError as error:
    assert "did you mean `after`" in str(error), error
else:
    raise SystemExit("no error")
try:
    composer.load({str(gone)!r})
except composer.SpecError as error:
    assert "gone.yaml:2:10" in str(error), error
else:
    raise SystemExit("no error")
print(sorted({HEAVY!r} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
