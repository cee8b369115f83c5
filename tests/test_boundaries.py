"""Which folder may import what, and that the light half of composer never loads torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import composer

PACKAGE = Path(composer.__file__).parent
HEAVY = {"torch", "networkx", "einops", "numpy", "PIL", "safetensors"}
# Folder -> what its files may import at module level, besides the standard library.
ALLOWED = {
    "errors.py": set(),
    "options.py": {"pydantic"},
    "registry.py": {"pydantic", "composer.errors", "composer.options"},
    "spec": {"pydantic", "yaml", "composer.errors", "composer.options", "composer.spec"},
    "layers": {"torch", "einops", "composer.registry", "composer.options", "composer.layers"},
    # Bounds of options are pydantic fields.
    "mechanisms": {"torch", "einops", "pydantic", "composer.registry", "composer.options", "composer.mechanisms"},
    "dag": {
        "torch",
        "networkx",
        "composer.errors",
        "composer.options",
        "composer.registry",
        "composer.spec",
        "composer.dag",
    },
    "draw": {"composer.dag", "composer.draw", "composer.errors"},
    "compile": {"torch", "composer.errors", "composer.dag", "composer.compile", "composer.spec"},
    "weights": {
        "torch",
        "safetensors",
        "composer.errors",
        "composer.spec",
        "composer.dag",
        "composer.compile",
        "composer.weights",
    },
    "timing.py": {"torch", "composer.compile", "composer.dag"},
    "lines.py": {"rich"},
    "alike.py": {"composer.dag"},
    "summary": {
        "torch",
        "composer.alike",
        "composer.compile",
        "composer.dag",
        "composer.errors",
        "composer.lines",
        "composer.spec",
        "composer.summary",
    },
    "docstring.py": set(),
    "html.py": {"composer.draw"},
    "page": {
        "torch",
        "composer.compile",
        "composer.dag",
        "composer.difference",
        "composer.docstring",
        "composer.draw",
        "composer.errors",
        "composer.html",
        "composer.page",
        "composer.registry",
        "composer.spec",
        "composer.summary",
    },
    "looking": {
        "torch",
        "networkx",
        "numpy",
        "PIL",
        "composer.annealing",
        "composer.compile",
        "composer.dag",
        "composer.draw.text",
        "composer.errors",
        "composer.files",
        "composer.html",
        "composer.images",
        "composer.looking",
        "composer.recording",
        "composer.registry",
        "composer.spec",
    },
    "difference": {
        "composer.alike",
        "composer.api",
        "composer.dag",
        "composer.difference",
        "composer.lines",
        "composer.summary",
    },
}


def imports(source: str) -> set[str]:
    """What a module imports when it is imported: not inside functions, not for type checking."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                found.update(f"{child.module}.{alias.name}" for alias in child.names)
            visit(child)

    visit(ast.parse(source))
    return found


def violations(source: str, allowed: set[str]) -> list[str]:
    wrong = []
    for name in sorted(imports(source)):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or any(name == one or name.startswith(f"{one}.") for one in allowed):
            continue
        if top == "composer" and name == "composer.registry" and "composer.registry" in allowed:
            continue
        wrong.append(name)
    return wrong


@pytest.mark.parametrize("room", ALLOWED)
def test_rooms_import_only_what_they_may(room: str) -> None:
    place = PACKAGE / room
    for file in [place] if place.is_file() else sorted(place.rglob("*.py")):
        allowed = ALLOWED[room] | ({"composer.registry"} if room == "dag" else set())
        assert not violations(file.read_text(), allowed), file


def test_the_test_can_fail() -> None:
    assert violations("import torch", ALLOWED["spec"]) == ["torch"]
    assert violations("from composer.layers import conv", ALLOWED["compile"]) == ["composer.layers.conv"]
    assert violations("def f():\n    import torch", ALLOWED["spec"]) == []


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
