"""How a file draws its first weights: one function, which leaves alone what draws its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.ejecting.fit import literal
from composer.ejecting.layers import Law, Makers, law_of
from composer.ejecting.layout import laid_out

FUNCTION = "init_weights"
_WORDS = {
    "he": "N(0, 2 / (k² outputs))",
    "he_per_group": "N(0, 2 groups / (k² outputs))",
    "he_fan_in": "N(0, 2 groups / (k² inputs))",
    "lecun_normal": "variance 1 / fan-in, cut off at two deviations",
    "uniform_fan_out": "between ±1 / sqrt(outputs)",
    "xavier_uniform": "Xavier's uniform law",
    "xavier_normal": "Xavier's normal law",
    "zeros": "0",
    "torch": "PyTorch's own law",
    "scale": "scale 0",
}


@dataclass(frozen=True)
class _Layer:
    """A layer of the network: its class, its name where it stands, its path, whether it has a bias, and its law."""

    kind: str
    name: str
    path: str
    bias: bool
    law: Law | None


@dataclass
class Initial:
    """The lines that draw the first weights of a network.

    own  classes that draw their own
    """

    root: Scope
    layers: Makers
    own: Sequence[str]
    found: list[_Layer] = field(init=False)

    def __post_init__(self) -> None:
        self.found = list(self._read())

    def _read(self) -> Iterable[_Layer]:
        for node in _owners(self.root):
            operation = node.content
            if isinstance(operation, Operation) and hasattr(operation.entry, "module"):
                made = self.layers.module(operation)
                if type(made).__module__.startswith("torch."):
                    bias = getattr(made, "bias", None) is not None
                    yield _Layer(
                        f"nn.{type(made).__name__}", node.path.rpartition(".")[2], node.path, bias, law_of(operation)
                    )

    @property
    def needed(self) -> bool:
        return any(one.law is not None for one in self.found)

    def lines(self) -> list[str]:
        """The function; nothing if every layer is drawn as its class draws it."""
        if not self.needed:
            return []
        branches: list[tuple[str, list[str]]] = []
        words: list[str] = []
        late: list[tuple[list[str], list[str]]] = []
        for kind in dict.fromkeys(one.kind for one in self.found if one.law is not None):
            made, said, by_path = self._of_kind(kind)
            branches += made
            words += said
            late += by_path
        self.late = late
        lines = [f"def {FUNCTION}(module: nn.Module) -> None:", *_doc(words, bool(self.own))]
        named = any("name == " in test or "name in " in test for test, _ in branches)
        children = "for name, layer in module.named_children():" if named else "for layer in module.children():"
        lines.append(f"    {children}")
        word = "if"
        if self.own:
            lines += [*laid_out(f"if isinstance(layer, {' | '.join(self.own)}):", 8), "            continue"]
        for test, body in _together(branches):
            lines += laid_out(f"{word} {test}:", 8)
            lines += [f"            {one}" for one in body]
            word = "elif"
        return [*lines, "        else:", f"            {FUNCTION}(layer)"]

    late: list[tuple[list[str], list[str]]] = field(default_factory=list)

    def call(self) -> list[str]:
        """The lines with which the network draws its weights."""
        if not self.needed:
            return []
        lines = [f"        {FUNCTION}(self)"]
        for paths, body in self.late:
            lines += laid_out(f"for path in ({', '.join(map(literal, paths))}{',' * (len(paths) == 1)}):", 8)
            lines += ["            layer = self.get_submodule(path)", *(f"            {one}" for one in body)]
        return lines

    def _of_kind(self, kind: str) -> tuple[list[tuple[str, list[str]]], list[str], list[tuple[list[str], list[str]]]]:
        layers = [one for one in self.found if one.kind == kind]
        names: dict[Law | None, dict[str, None]] = {}
        for one in layers:
            names.setdefault(one.law, {})[one.name] = None
        counts = {law: sum(one.law == law for one in layers) for law in names}
        main = max(counts, key=lambda law: (counts[law], law is not None))
        branches, said, late = [], [], []
        for law, own in names.items():
            if law == main:
                continue
            others = {name for other, some in names.items() if other != law for name in some}
            body = _drawing(law or Law("torch"), [one for one in layers if one.law == law], kind)
            if others & own.keys():
                late.append(
                    ([one.path for one in layers if one.law == law], ["assert isinstance(layer, " + kind + ")", *body])
                )
                continue
            test = f"name == {literal(*own)}" if len(own) == 1 else f"name in ({', '.join(map(literal, own))})"
            body = body if law is not None else ["pass"]
            if law is None:
                body = ["continue"]
            branches.append((f"isinstance(layer, {kind}) and {test}", body))
            said += (
                [f"{_said(law)} for {' and '.join(f'`{name}`' for name in list(own)[:3])}"] if law is not None else []
            )
        if main is not None:
            body = _drawing(main, [one for one in layers if one.law == main], kind)
            branches.append((f"isinstance(layer, {kind})", body))
            said.append(f"{_said(main)} for {kind}")
        return branches, said, late


def _together(branches: Sequence[tuple[str, list[str]]]) -> Iterable[tuple[str, list[str]]]:
    """The branches; those that follow one another and do the same as one."""
    found: list[tuple[str, list[str]]] = []
    for test, body in branches:
        before = found[-1][0] if found and found[-1][1] == body else None
        if before is None:
            found.append((test, body))
        elif " and " in test or " and " in before:
            found[-1] = (f"({before}) or ({test})" if " and " in before else f"{before} or ({test})", body)
        else:
            kind = test.removeprefix("isinstance(layer, ").removesuffix(")")
            found[-1] = (f"{before.removesuffix(')')} | {kind})", body)
    return found


def _owners(scope: Scope) -> Iterable[Node]:
    return scope.owners()


def _said(law: Law) -> str:
    if law.weight in ("normal", "trunc_normal"):
        return f"N(0, {law.std:g}²)"
    return _WORDS[law.weight]


def _doc(words: Sequence[str], own: bool) -> list[str]:
    text = "; ".join(dict.fromkeys(words))
    text = text[:1].upper() + text[1:]
    rest = " What attention adds draws its own." if own else ""
    line = f'    """{text}.{rest}"""'
    if len(line) <= 120:
        return [line]
    parts = list(dict.fromkeys(words))
    return ['    """Draw the first weights.', "", *(f"    {one}" for one in parts), '    """']


def _drawing(law: Law, layers: Sequence[_Layer], kind: str) -> list[str]:
    """The lines that draw a `layer` by a law."""
    weight = "layer.weight"
    lines: Mapping[str, list[str]] = {
        "he": [f'nn.init.kaiming_normal_({weight}, mode="fan_out", nonlinearity="relu")'],
        "he_fan_in": [f'nn.init.kaiming_normal_({weight}, mode="fan_in", nonlinearity="relu")'],
        "he_per_group": [
            f"fan_out = {weight}.numel() // {weight}.shape[1] // layer.groups",
            f"nn.init.normal_({weight}, std=(2 / fan_out) ** 0.5)",
        ],
        "lecun_normal": [
            f"std = {weight}[0].numel() ** -0.5 / 0.87962566103423978  # of N(0, 1), cut off at -2 and 2",
            f"nn.init.trunc_normal_({weight}, std=std, a=-2 * std, b=2 * std)",
        ],
        "uniform_fan_out": [f"bound = {weight}.shape[0] ** -0.5", f"nn.init.uniform_({weight}, -bound, bound)"],
        "xavier_uniform": [f"nn.init.xavier_uniform_({weight})"],
        "xavier_normal": [f"nn.init.xavier_normal_({weight})"],
        "zeros": [f"nn.init.zeros_({weight})"],
        "scale": [f"nn.init.zeros_({weight})"],
        "normal": [f"nn.init.normal_({weight}, std={law.std!r})"],
        "trunc_normal": [f"nn.init.trunc_normal_({weight}, std={law.std!r})"],
        "torch": [],
    }
    found = list(lines[law.weight])
    bias = law.bias if law.bias is not None else "torch" if law.weight in ("torch", "scale") else "zeros"
    if bias == "torch" or not any(one.bias for one in layers):
        return found or ["pass"]
    if bias == "zeros":
        made = "nn.init.zeros_(layer.bias)"
    elif bias == "normal":
        made = "nn.init.normal_(layer.bias, std=1e-6)"
    else:
        made = f"nn.init.constant_(layer.bias, {float(bias)!r})"
    return [*found, "if layer.bias is not None:", f"    {made}"]
