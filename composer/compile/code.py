"""Writes a scope as Python: a plain nn.Module class with a forward as a person would write it. Makes no modules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from textwrap import dedent
from typing import Any

from composer.compile.forward import head, method
from composer.compile.parts import beside, is_indexed
from composer.compile.writer import identifier, is_called
from composer.dag.levels import features_of, split
from composer.dag.outputs import in_eval, up_to
from composer.dag.scope import Scope


def class_code(scope: Scope) -> str:
    """The text of the file that defines the class of a scope. For a scope that is not a plain chain."""
    # A chain is indexed also if it passes a tensor outward, takes one for a node inside, or holds what rules put in.
    base = "nn.Module" if not is_indexed(scope) else "Chain" if beside(scope) else "nn.Sequential"
    methods = method("forward", scope)
    if scope.attention is not None:
        beside_result = replace(scope, outputs={"attention": scope.attention}, exposed=frozenset())
        methods += method("forward_attention", up_to(beside_result, scope.attention))
    return _file(scope, base, f"The block `{scope.block}` of a composed network.", methods)


def root_code(root: Scope) -> str:
    """The file that defines the class of a whole network, with `forward`, `forward_features` and `forward_head`."""
    methods = method("forward", root)
    main = in_eval(root)
    if (features := features_of(main)) is not None:
        before, after = split(replace(main, named=False), features)
        methods += method("forward_features", before)
        if after is not None and len(after.outputs) == 1:
            methods += head(after)
    return _file(root, "ComposedModule", f"The network `{root.block}`, composed.", methods)


def forward_code(scope: Scope) -> str:
    """The forward of a scope alone, as in its class."""
    return dedent("\n".join(method("forward", scope))).strip()


def _file(scope: Scope, base: str, doc: str, methods: Sequence[str]) -> str:
    body = "\n".join(methods)
    imports = ["import torch"] if "torch." in body else []
    imports += ["from torch import Tensor, nn" if base.startswith("nn.") else "from torch import Tensor"]
    ours = [f"from composer import {base}"] if not base.startswith("nn.") else []
    ours += functions_called(scope, body)
    imports += ["", *ours] if ours else []
    return (
        "\n".join([*imports, "", "", f"class {identifier(scope.block)}({base}):", f'    """{_text(doc)}"""', body])
        + "\n"
    )


def functions_called(scope: Scope, body: str) -> list[str]:
    """The imports of the functions of the registry that lines of generated code call."""
    called = {node.op: node.content for node in scope.walk() if is_called(node) and f" {node.op}(" in body}
    return [_import(name, content) for name, content in sorted(called.items())]


def _text(words: str) -> str:
    """Text of a spec, escaped for generated code, so that it can end neither the string nor the line."""
    return words.encode("unicode_escape").decode().replace('"', "'")


def _import(name: str, operation: Any) -> str:
    plugin = operation.entry.plugin.name
    # The comment names the plugin, for the error if it is missing when the network is loaded.
    return f"from composer.functions import {name}" + (f"  # plugin: {_text(plugin)}" if plugin != "composer" else "")
