"""composer: write which backbone and where which attention goes in YAML, get a plain PyTorch module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from composer.errors import (
    ComposerError,
    Diagnostic,
    GraphError,
    InputError,
    PluginError,
    SpecError,
    UnavailableError,
    WeightsError,
)

if TYPE_CHECKING:
    from composer.annealing import Annealed, anneal
    from composer.api import (
        bench,
        build,
        compose,
        diff,
        eject,
        features,
        graph,
        list_backbones,
        list_mechanisms,
        list_papers,
        load,
        load_spec,
        look,
        view,
    )
    from composer.benchmark import Benchmark
    from composer.comparing.api import compare
    from composer.compile.chain import Chain
    from composer.compile.module import ComposedModule
    from composer.difference import Difference
    from composer.exporting.export import export
    from composer.exporting.report import Exported
    from composer.hosts.insert import check, insert, inserted, rules_of
    from composer.hosts.remove import remove
    from composer.inference import for_inference
    from composer.load_report import LoadReport
    from composer.looking import Finding, Look
    from composer.network import Graph
    from composer.options import NonNegativeInt, OddInt, PositiveFloat, PositiveInt, Probability
    from composer.recording import record
    from composer.registry import layer, load_plugin, mechanism
    from composer.scanning.api import scan
    from composer.scanning.scan import Scan
    from composer.sharing import from_folder
    from composer.spec.spec import Spec
    from composer.summary import Summary
    from composer.timm_models import register_with_timm
    from composer.weights import load_weights

__version__ = "0.1.0"
# Another package of this name has none, or its own: see composer/second_name.
__distribution__ = "attention-composer"

# Name -> module, imported on first use: importing torch takes seconds, and pydantic a part of a second.
_LAZY = {
    "Annealed": "composer.annealing",
    "anneal": "composer.annealing",
    "bench": "composer.api",
    "build": "composer.api",
    "check": "composer.hosts.insert",
    "compare": "composer.comparing.api",
    "compose": "composer.api",
    "diff": "composer.api",
    "eject": "composer.api",
    "export": "composer.exporting.export",
    "evaluate": "composer.training.api",
    "features": "composer.api",
    "for_inference": "composer.inference",
    "freeze": "composer.compile.freezing",
    "from_folder": "composer.sharing",
    "graph": "composer.api",
    "groups": "composer.training.places",
    "parameters_at": "composer.training.places",
    "plan": "composer.planning.api",
    "insert": "composer.hosts.insert",
    "inserted": "composer.hosts.insert",
    "list_backbones": "composer.api",
    "list_mechanisms": "composer.api",
    "list_papers": "composer.api",
    "load": "composer.api",
    "load_plugin": "composer.registry",
    "load_spec": "composer.api",
    "load_weights": "composer.weights",
    "look": "composer.api",
    "view": "composer.api",
    "record": "composer.recording",
    "register_with_timm": "composer.timm_models",
    "remove": "composer.hosts.remove",
    "resume": "composer.training.api",
    "rules_of": "composer.hosts.insert",
    "search": "composer.searching.api",
    "scan": "composer.scanning.api",
    "train": "composer.training.api",
    "Benchmark": "composer.benchmark",
    "Chain": "composer.compile.chain",
    "ComposedModule": "composer.compile.module",
    "Difference": "composer.difference",
    "Exported": "composer.exporting.report",
    "Finding": "composer.looking",
    "Graph": "composer.network",
    "LoadReport": "composer.load_report",
    "Look": "composer.looking",
    "NonNegativeInt": "composer.options",
    "OddInt": "composer.options",
    "PositiveFloat": "composer.options",
    "PositiveInt": "composer.options",
    "Probability": "composer.options",
    "Run": "composer.training.run",
    "Scan": "composer.scanning.scan",
    "Spec": "composer.spec.spec",
    "Summary": "composer.summary",
    "layer": "composer.registry",
    "mechanism": "composer.registry",
}

__all__ = [
    "Annealed",
    "Benchmark",
    "Chain",
    "ComposedModule",
    "ComposerError",
    "Diagnostic",
    "Difference",
    "Exported",
    "Finding",
    "Graph",
    "GraphError",
    "InputError",
    "LoadReport",
    "Look",
    "NonNegativeInt",
    "OddInt",
    "PluginError",
    "PositiveFloat",
    "PositiveInt",
    "Probability",
    "Run",
    "Scan",
    "Spec",
    "SpecError",
    "Summary",
    "UnavailableError",
    "WeightsError",
    "anneal",
    "bench",
    "build",
    "check",
    "compare",
    "compose",
    "diff",
    "eject",
    "evaluate",
    "export",
    "features",
    "for_inference",
    "freeze",
    "from_folder",
    "graph",
    "groups",
    "insert",
    "inserted",
    "layer",
    "list_backbones",
    "list_mechanisms",
    "list_papers",
    "load",
    "load_plugin",
    "load_spec",
    "load_weights",
    "look",
    "mechanism",
    "parameters_at",
    "plan",
    "record",
    "register_with_timm",
    "remove",
    "resume",
    "rules_of",
    "scan",
    "search",
    "train",
    "view",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module `composer` has no attribute `{name}`")
    import importlib

    value = globals()[name] = getattr(importlib.import_module(_LAZY[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
