"""The whole file: its head, the copied sources, a class per block, and the network."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from composer.compile.lend import borrowers
from composer.dag.composition import Composition
from composer.dag.levels import features_of, split
from composer.dag.operation import Operation
from composer.dag.outputs import in_eval
from composer.dag.scope import Scope
from composer.ejecting.fit import identifier, literal
from composer.ejecting.for_timm import attributes, check_input, configuration, entry, methods
from composer.ejecting.forms import Form, Forms
from composer.ejecting.head import head
from composer.ejecting.initial import Initial
from composer.ejecting.layers import Makers, arguments_of
from composer.ejecting.layout import laid_out
from composer.ejecting.library import Library
from composer.ejecting.naming import Names
from composer.ejecting.refused import cannot, check_source
from composer.ejecting.sources import Unread
from composer.ejecting.write import Body, Forward, class_of, signature
from composer.registry import FunctionEntry, ModuleEntry

_SHARED = '''\
class Shared(nn.Module):
    """Calls a layer of another module, which alone has its weights."""

    def __init__(self, owner: nn.Module, name: str):
        super().__init__()
        # In a list, because a module that is an attribute has keys of its own.
        self.owner, self.name = [owner], name

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.owner[0].get_submodule(self.name)(*inputs)'''


def eject(network: Composition, source: str | None = None, *, timm: bool = False) -> str:
    """The network as the text of one Python file, which needs torch alone.

    source  what the file says it was made from; by default the name of the spec
    timm    whether the file registers the network with timm

    Raises GraphError for a model of another library, InputError for a plugin whose source does not stand by itself.
    """
    check_source(network)
    if timm:
        check_input(network)
    try:
        return _Ejected(network, source or network.spec.name, timm).text()
    except Unread as error:
        raise cannot(str(error), "define it in the plugin's file itself, as a class or function") from error


@dataclass
class _Ejected:
    network: Composition
    source: str
    timm: bool
    library: Library = field(default_factory=Library)

    def text(self) -> str:
        root = self.network.root
        layers = Makers(self.library.call, self.library)
        names = Names(self.network)
        classes = self.network.spec.vars.get("num_classes")
        names.num_classes = classes if isinstance(classes, int) and classes > 0 else None
        self._note(root, layers)
        self.library.taken = {"F", "nn", "Shared", "init_weights", "torch", "Tensor", "math", "SHAPE", "INPUT"}
        self.library.prepare()
        names.taken = self.library.taken
        own = [one for one in self.library.usages if _draws(one, self.library.usages[one][0])]
        self.initial = Initial(root, layers, [self.library.name_of(one) for one in own])
        function = self.initial.lines()
        written: list[str] = []
        forms = Forms(layers, root, names)
        forms.on_form = lambda form: written.append(self.class_text(form))
        forms.read()
        definitions = self.library.text()
        *blocks, network = written
        drawing = ["\n".join(function)] if function else []
        name = forms.found[-1].name
        shared = [_SHARED] if "Shared(" in network else []
        registered = []
        if self.timm:
            registered = [
                "\n".join(entry(self.network, name, counts="num_classes: int" in network, taken=[*names.taken]))
            ]
        body = "\n\n\n".join([*shared, *definitions, *blocks, *drawing, network, *registered, self.main(name)])
        imports = self.imports(body)
        others = dict.fromkeys(re.findall(r"^(?:from|import) (\w+)", imports, re.MULTILINE))
        packages = [one for one in others if one not in sys.stdlib_module_names]
        needs = " and ".join([", ".join(packages[:-1]), packages[-1]] if len(packages) > 1 else packages)
        classes = "num_classes=10" if "num_classes: int" in network else ""
        doc = "\n".join(head(self.network, name, self.source, first=classes, imports=needs))
        constants = "\n".join([self.constants(), *(configuration(self.network) if self.timm else [])])
        return f"{doc}\n\n{imports}\n\n{constants}\n\n\n{body}\n"

    def constants(self) -> str:
        """What the network was made for."""
        inputs = self.network.spec.inputs
        if len(inputs) > 1:
            pairs = ", ".join(f"{literal(name)}: {literal(tuple(one.shape))}" for name, one in inputs.items())
            return "\n".join(
                [
                    "# The inputs that the network was made for, without the batch.",
                    *laid_out(f"SHAPES = {{{pairs}}}", 0),
                ]
            )
        (one,) = inputs.values()
        lines = [f"SHAPE = {literal(tuple(one.shape))}"]
        told = {"mean": one.mean, "std": one.std, "interpolation": one.interpolation, "crop": one.crop}
        known = {
            key: tuple(value) if isinstance(value, list) else value for key, value in told.items() if value is not None
        }
        if known:
            lines += laid_out(f"INPUT = {literal(known)}", 0)
        return "\n".join(
            [
                "# The images that the network was made for."
                if len(one.shape) == 3
                else "# The input that the network was made for.",
                *lines,
            ]
        )

    def main(self, name: str) -> str:
        root = self.network.root
        one = "torch.zeros(1, *SHAPE)"
        if len(self.network.spec.inputs) > 1:
            one = "*(torch.zeros(1, *shape) for shape in SHAPES.values())"
        lines = ['if __name__ == "__main__":', f"    model = {name}().eval()", f"    output = model({one})"]
        shown = "{name: tuple(one.shape) for name, one in output.items()}" if root.gives_dict else "tuple(output.shape)"
        lines += laid_out(f'print({shown}, f"{{sum(p.numel() for p in model.parameters()):,}} parameters")', 4)
        return "\n".join(lines)

    def _note(self, root: Scope, layers: Makers) -> None:
        for node in root.walk():
            operation = node.content
            if not isinstance(operation, Operation) or not node.owns:
                continue
            if isinstance(operation.entry, ModuleEntry):
                made = layers.module(operation)
                if layers.expression(operation) is not None:
                    continue
                if layers.by_function(operation):
                    self.library.function(operation.entry.factory, None)
                elif operation.part or not type(made).__module__.startswith("torch."):
                    self.library.use(layers.kind_of(operation), arguments_of(operation, made))
            elif isinstance(operation.entry, FunctionEntry) and operation.entry.code is None:
                defaults = {name: one.default for name, one in operation.entry.options.model_fields.items()}
                self.library.function(operation.entry.factory, {**defaults, **operation.options})

    def imports(self, body: str) -> str:
        lines = {*self.library.imports, "import torch", "from torch import Tensor, nn"}
        if "OrderedDict(" in body:
            lines.add("from collections import OrderedDict")
        if self.timm:
            lines |= {"from timm.models import register_model", "from typing import Any"}
        return sorted_imports(lines, body)

    def class_text(self, form: Form) -> str:
        is_root = form.scope is self.network.root
        body = class_of(form)
        lines = [f"class {form.name}({form.base}):", f'    """{self.doc(form)}"""', ""]
        further = {}
        if is_root and any("num_classes" in line for line in body.lines):
            further = {"num_classes": f"int = {self.network.spec.vars['num_classes']}"}
        lines += laid_out(signature(form, further), 4)
        lines += ["        super().__init__()", *(self.typed(body.lines) if is_root and self.timm else body.lines)]
        if is_root:
            lines += self.initial.call()
            lines += self.shared()
            if self.timm:
                lines += attributes(self.network, counts=bool(further))
            lines += _root_forward(form, body)
            lines += methods(self.network) if self.timm and further else []
        else:
            lines += ["", *_method(form, body, "forward", form.scope)]
        return "\n".join(lines)

    def typed(self, lines: list[str]) -> list[str]:
        """The lines of `__init__`, where a classifier that timm may take out is any module."""
        head = self.network.head
        start = f"        self.{head.node.path} = " if head is not None and "." not in head.node.path else None
        return [
            line.replace(" = ", ": nn.Module = ", 1) if start and line.startswith(start) else line for line in lines
        ]

    def shared(self) -> list[str]:
        lines = []
        for node in borrowers(self.network.root):
            for child, owner in node.shares.items():
                path, _, name = owner.rpartition(".")
                target = f"{node.path}.{child}" if child else node.path
                holder = f"self.get_submodule({literal(path)})" if path else "self"
                made = f"Shared({holder}, {literal(name)})"
                line = (
                    f"self.{target} = {made}"
                    if target.isidentifier()
                    else f"self.set_submodule({literal(target)}, {made})"
                )
                lines += laid_out(line, 8)
        return lines

    def doc(self, form: Form) -> str:
        scope = form.scope
        inputs = ", ".join(_shape(one) for one in scope.inputs.values())
        outputs = ", ".join(_shape(scope.tensor(one)) for one in scope.outputs.values())
        return f"{inputs} -> {outputs}"


def _draws(kind: type, arguments: Mapping[str, Any]) -> bool:
    """Whether modules of a copied class hold layers that draw their own weights, or are such layers."""
    if issubclass(kind, _DRAWN):
        return True
    with torch.device("meta"):
        made: Any = kind(**arguments)
    return any(isinstance(one, _DRAWN) for one in made.modules())


_DRAWN = (nn.modules.conv._ConvNd, nn.Linear, nn.modules.batchnorm._BatchNorm)


def _shape(tensor: Any) -> str:
    return tensor.layout or "×".join(map(str, tensor.shape))


def sorted_imports(lines: set[str], body: str) -> str:
    """The imports that the body uses, in the order of isort."""
    used = []
    merged: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("from "):
            module, _, names = line.removeprefix("from ").partition(" import ")
            for name in names.split(", "):
                word = name.rpartition(" ")[2]
                if re.search(rf"\b{re.escape(word)}\b", body):
                    merged.setdefault(module, []).append(name)
        else:
            word = line.rpartition(" ")[2]
            if re.search(rf"(?<![\w.]){re.escape(word)}\.", body):
                used.append(line)
    plain = sorted(used) + sorted(
        f"from {module} import {', '.join(sorted(set(names), key=_order))}" for module, names in merged.items()
    )
    standard = [line for line in plain if line.split()[1].partition(".")[0] in sys.stdlib_module_names]
    others = [line for line in plain if line not in standard]
    return "\n".join([*standard, *([""] if standard and others else []), *others])


def _order(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2), name


def _method(form: Form, body: Body, name: str, scope: Scope) -> list[str]:
    words = _words(scope.inputs)
    arguments = ["self", *(f"{word}: Tensor" for word in words.values())]
    lines, results = Forward(form, body).write(scope.nodes, words, list(scope.outputs.values()))
    returns = "Tensor" if len(results) == 1 else f"tuple[{', '.join(['Tensor'] * len(results))}]"
    if len(results) > 4:
        returns = "tuple[Tensor, ...]"
    return [
        *laid_out(f"def {name}({', '.join(arguments)}) -> {returns}:", 4),
        *(one for line in lines for one in laid_out(line, 8)),
        *laid_out(f"return {', '.join(results)}", 8),
    ]


def _words(inputs: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in inputs:
        word = "x" if name == "input" or len(inputs) == 1 else identifier(name)
        while word in ("self", "torch", "nn", "Tensor") or word in found.values():
            word = f"{word}_"
        found[name] = word
    return found


def _root_forward(form: Form, body: Body) -> list[str]:
    root = form.scope
    words = _words(root.inputs)
    head = f"(self, {', '.join(f'{word}: Tensor' for word in words.values())})"
    main = in_eval(root)
    if root.training:
        lines = ["", *laid_out(f"def forward{head} -> {_returns(root, main)}:", 4), "        if self.training:"]
        lines += _results(form, body, root, words, 12)
        return [*lines, *_results(form, body, main, words, 8)]
    features = features_of(root)
    if features is not None and len(root.inputs) == 1:
        before, after = split(replace(root, named=False), features)
        if after is not None and after.nodes and len(after.outputs) == 1 and not root.gives_dict:
            own = replace(before, outputs={"features": features})
            lines = ["", *laid_out(f"def forward_features{head} -> Tensor:", 4)]
            lines += _results(form, body, own, words, 8)
            lines += ["", *laid_out(f"def forward{head} -> Tensor:", 4), "        x = self.forward_features(x)"]
            return [*lines, *_results(form, body, after, {features: "x"}, 8)]
    return ["", *laid_out(f"def forward{head} -> {_returns(root)}:", 4), *_results(form, body, root, words, 8)]


def _returns(*scopes: Scope) -> str:
    kinds = ["dict[str, Tensor]" if one.gives_dict else "Tensor" for one in scopes]
    return " | ".join(dict.fromkeys(kinds))


def _results(form: Form, body: Body, scope: Scope, words: Mapping[str, str], indent: int) -> list[str]:
    lines, results = Forward(form, body).write(scope.nodes, words, list(scope.outputs.values()))
    if scope.gives_dict:
        pairs = ", ".join(f"{literal(name)}: {text}" for name, text in zip(scope.outputs, results, strict=True))
        last = f"return {{{pairs}}}"
    else:
        last = f"return {results[0]}"
    return [one for line in [*lines, last] for one in laid_out(line, indent)]
