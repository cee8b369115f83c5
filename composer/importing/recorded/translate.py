"""From the scopes of a recording to drafts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from composer.dag.host import HostOperation, HostScope
from composer.dag.infer import Inference
from composer.dag.scope import Node
from composer.dag.tensor import TensorSpec
from composer.hosts.recording.entries import HostFunction
from composer.hosts.recording.replay import Replay
from composer.importing.recorded.contain import contained
from composer.importing.recorded.draft import Draft, Item
from composer.importing.recorded.functions import step
from composer.importing.recorded.leaves import Chain, chains, is_plain, passes_on, same_numbers
from composer.importing.recorded.scope import Scribe, Unknown
from composer.importing.recorded.views import NotAView, Ref, View

_AGAIN = "is called again with its weights, in another scope"


@dataclass(frozen=True)
class Missing:
    """A node that no layer is."""

    path: str
    what: str
    why: str


@dataclass
class Translator:
    """Writes the scopes of a recording of a model.

    opened   modules that are looked into, although a layer might be the same
    to_open  modules of this recording that no layer is, and that can be looked into
    missing  nodes that no layer is
    dense    modules whose input must lie in memory in the order of its axes
    exact    whether a tensor that is made contiguous must be so here too
    buffers  path -> values of each buffer
    copied   how many scopes around, whose modules are called again
    called   modules that are nodes
    """

    model: nn.Module
    infer: Inference = field(default_factory=Inference)
    sites: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    to_open: list[str] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    certain: dict[Any, Chain | None] = field(default_factory=dict)
    dense: Collection[str] = ()
    exact: bool = False
    buffers: Mapping[str, Tensor] = field(default_factory=dict)
    copied: int = 0
    called: set[str] = field(default_factory=set)

    def scope(
        self,
        host: HostScope,
        name: str,
        inputs: Mapping[str, TensorSpec],
        expanded: Mapping[str, tuple[int, ...]] | None = None,
    ) -> Draft:
        """The draft of a scope. Inputs may be expanded there to other shapes."""
        draft = Draft(host.module.__name__, name, host.path, dict(inputs))
        taken = {name for name, node in host.nodes.items() if not _is_function(node)} | {*self._children(host.path)}
        origin = next((node.origin for node in host.walk()), None)
        assert origin is not None or not host.nodes
        scribe = Scribe(draft, self.infer, origin, taken, self.buffers, self.exact)  # type: ignore[arg-type]
        draft.specs.update(inputs)
        values: dict[str, View] = {one: View.of(Ref(one, spec)) for one, spec in inputs.items()}
        values |= {one: values[one].expand(shape) for one, shape in (expanded or {}).items()}
        for node in host.nodes.values():
            self.node(scribe, node, values)
        for output, reference in host.outputs.items():
            try:
                draft.outputs[output] = scribe.written(_value(values, reference)).ref.name
            except Unknown as error:
                self.missing.append(Missing(host.path or name, "output", str(error)))
        for item in contained(draft):
            why = (
                "its container runs between other parts of the model or takes nothing in, which no scope of a spec does"
            )
            self.missing.append(Missing(item.path, f"`{item.op or (item.inner.kind if item.inner else '')}`", why))
        return draft

    def _children(self, path: str) -> list[str]:
        try:
            return [name for name, _ in self.model.get_submodule(path).named_children()]
        except AttributeError:
            return []

    def node(self, scribe: Scribe, node: Node, values: dict[str, View]) -> None:
        """Adds what a node is to a draft, and its result to the values."""
        before = len(scribe.draft.items)
        try:
            views = [_value(values, one) for one in node.inputs]
            if isinstance(node.content, HostScope):
                self.inner(scribe, node, node.content, views, values)
                return
            values[node.name] = self.view(scribe, node, views)
            if values[node.name].shape != node.tensor.shape:
                found = "×".join(map(str, values[node.name].shape))
                raise Unknown(f"gives {found}, and {node.tensor} is recorded")
        except (Unknown, NotAView) as error:
            scribe.forget(before)
            self.fail(node, str(error) or "moves axes in a way that no pattern says")
            values[node.name] = View.of(Ref(node.name, node.tensor))
            scribe.draft.specs[node.name] = node.tensor
        sites = self.sites.get(node.path, ())
        if sites:
            _tag(scribe.draft, values[node.name], sites)

    def fail(self, node: Node, why: str) -> None:
        content = node.content
        if not isinstance(content, HostOperation):
            self.missing.append(Missing(node.path, f"`{node.op}`", why))
            return
        call = content.call
        if call is not None and not call.function:
            module = self.model.get_submodule(node.owner)
            if not is_plain(module):
                self.to_open.append(node.owner)
                return
            self.missing.append(Missing(node.path, f"{type(module).__module__.partition('.')[0]}'s `{module}`", why))
            return
        what = "a tensor that is made in `forward`" if call is None else f"the function `{content.entry.name}`"
        self.missing.append(Missing(node.path, what, why))

    def inner(
        self, scribe: Scribe, node: Node, host: HostScope, views: Sequence[View], values: dict[str, View]
    ) -> None:
        """A scope in a scope."""
        expanded = {name: one.expanded for name, one in zip(host.inputs, views, strict=True) if one.expanded}
        written = [scribe.written(replace(one, expanded=None)) for one in views]
        inputs = {name: one.ref.spec for name, one in zip(host.inputs, written, strict=True)}
        again = bool(node.shares) and any(True for _ in self.model.get_submodule(node.owner).parameters())
        self.copied += again
        draft = self.scope(host, node.name, inputs, expanded)
        self.copied -= again
        if again and node.calls is None:
            self.missing.append(Missing(node.path, f"`{host.block}`", _AGAIN))
        names = dict(zip(host.inputs, written, strict=True))
        sites = self.sites.get(node.path, ())
        if draft.is_passage and next(iter(draft.outputs.values())) in names:
            values[node.name] = names[next(iter(draft.outputs.values()))]
            return
        specs = {one: _told(draft, node, one) for one in host.outputs}
        passed = {one: names[ref] for one, ref in draft.outputs.items() if ref in names}
        if len(passed) < len(draft.outputs):
            # A block gives what its nodes make: what it only hands through is taken from where it comes.
            draft.outputs = {one: ref for one, ref in draft.outputs.items() if one not in passed}
        scribe.draft.items.append(
            Item(
                node.name,
                node.path,
                [one.ref.name for one in written],
                inner=None if again else draft,
                sites=sites,
                share=node.calls if again else None,
            )
        )
        if len(host.outputs) == 1 and isinstance(node.output, TensorSpec):
            (spec,) = specs.values()
            values[node.name] = View.of(Ref(node.name, spec))
        for output, spec in specs.items():
            if output in passed and output not in draft.outputs:
                values[f"{node.name}.{output}"] = passed[output]
                continue
            one = node.name if len(draft.outputs) <= 1 else f"{node.name}.{output}"
            scribe.draft.specs[one] = spec
            values[f"{node.name}.{output}"] = View.of(Ref(one, spec))

    def view(self, scribe: Scribe, node: Node, views: Sequence[View]) -> View:
        """What an operation of the recording gives. Raises Unknown."""
        content = node.content
        assert isinstance(content, HostOperation)
        call = content.call
        if call is None:
            return self.tensor(scribe, node)
        if not call.function:
            return self.leaf(scribe, node, views)
        if isinstance(content.entry, HostFunction):
            assert isinstance(content.entry.factory, Replay)
            return step(call.target, scribe, content.entry.factory, views, node.tensor.shape)
        if content.entry.name in ("add", "mul", "sub", "div"):
            return scribe.merged(content.entry.name, *views)
        return scribe.layer(content.entry.name, content.options, views)

    def tensor(self, scribe: Scribe, node: Node) -> View:
        """A parameter as a node."""
        parameters = dict(self.model.named_parameters(remove_duplicate=False))
        if node.path not in parameters:
            if node.path in self.buffers:
                # What takes it may know its values; nothing else can.
                return View.of(Ref(node.path, node.tensor))
            raise Unknown("is no parameter")
        if not self.copied:
            self._named(scribe, node)
        shape = list(parameters[node.path].shape)
        if not shape:
            raise Unknown("has no axes, and a `parameter` has at least one")
        return scribe.add("parameter", {"shape": shape}, [], name=node.name, path=node.path)

    def _named(self, scribe: Scribe, node: Node) -> None:
        """Refuse a node whose weights belong to another scope. Raises Unknown."""
        path = scribe.draft.path
        if path and not node.owner.startswith(f"{path}."):
            raise Unknown(f"has the weights `{node.owner}`, and is called in `{path}`")

    def leaf(self, scribe: Scribe, node: Node, views: Sequence[View]) -> View:
        """What a module gives that is one node."""
        module = self.model.get_submodule(node.owner)
        self.called.add(node.owner)
        assert isinstance(node.content, HostOperation)
        if isinstance(module, nn.Flatten):
            return scribe.reshaped(views[0], node.tensor.shape)
        if passes_on(module) and views:
            return views[0]
        if node.content.call is not None and node.content.call.item:
            raise Unknown("no layer gives several tensors")
        again = node.owner != node.path and next(module.parameters(), None) is not None
        if again and node.calls is None and not self.copied:
            raise Unknown(_AGAIN)
        wanted = _wanted(module, len(node.tensor.shape))
        before = len(scribe.draft.items)
        try:
            written = [scribe.written(one, wanted) for one in views]
            chain = self.chain(scribe, module, [one.ref.spec for one in written], node.tensor.shape)
        except Unknown:
            if wanted is None or not is_plain(module):
                raise
            scribe.forget(before)
            written = [scribe.written(one, wanted, force=True) for one in views]
            chain = self.chain(scribe, module, [one.ref.spec for one in written], node.tensor.shape)
        if module.state_dict() and not again:
            self._named(scribe, node)
        for piece in chain:
            name = scribe.free(f"{node.name}_{piece.suffix}") if piece.suffix else node.name
            if node.owner in self.dense and piece is chain[0]:
                written = [scribe.add("contiguous", {}, written)]
            path = node.path if not piece.suffix else f"{node.path}_{piece.suffix}"
            share = node.calls if again and not piece.suffix else None
            written = [scribe.add(piece.op, piece.options, written, name=name, path=path, share=share)]
        return written[0]

    def chain(self, scribe: Scribe, module: nn.Module, taken: Sequence[TensorSpec], shape: tuple[int, ...]) -> Chain:
        """The layers that a module certainly is. Raises Unknown."""
        sizes = tuple((name, tuple(one.shape)) for name, one in module.state_dict(keep_vars=True).items())
        key = type(module), repr(module), sizes, tuple(taken), module.__dict__.get("eps")
        if key not in self.certain:
            self.certain[key] = None
            reasons = []
            for chain in chains(module):
                try:
                    self.check(scribe, module, chain, taken, shape)
                except Unknown as error:
                    reasons.append(str(error))
                    continue
                self.certain[key] = chain
                break
            if self.certain[key] is None and is_plain(module):
                raise Unknown(reasons[0] if reasons else "no layer is this module")
        found = self.certain[key]
        if found is None:
            raise Unknown("no layer is this module")
        return found

    def check(
        self, scribe: Scribe, module: nn.Module, chain: Chain, taken: Sequence[TensorSpec], shape: tuple[int, ...]
    ) -> None:
        """Whether a chain is a module: by its shape and parameters, and if it is not PyTorch's own by its numbers."""
        specs, number, operations = list(taken), 0, []
        for piece in chain:
            found = scribe.inferred(piece.op, piece.options, specs)
            operations.append(found.operation)
            number += found.operation.num_parameters
            specs = [found.output]
        if specs[0].shape != shape:
            raise Unknown(f"`{chain[-1].op}` gives {specs[0]}")
        if number != sum(one.numel() for one in module.parameters()):
            raise Unknown(f"`{chain[0].op}` has {number} parameters")
        if is_plain(module):
            return
        made = [operation.make() for operation in operations]
        owner = next((one for one in made if isinstance(one, nn.Module) and one.state_dict()), None)
        for one in made:
            if isinstance(one, nn.Module):
                one.eval()

        def run(tensors: Sequence[Tensor]) -> Tensor:
            for operation, one in zip(operations, made, strict=True):
                tensors = [operation.entry.run(one, tensors)]
            return tensors[0]

        if not same_numbers(module, run, owner, [one.shape for one in taken]):
            raise Unknown(f"`{chain[0].op}` gives other numbers")


def _wanted(module: nn.Module, count: int) -> str | None:
    """The layout in which a layer takes its input, if that is known of its class."""
    if isinstance(module, nn.Linear | nn.LayerNorm) and "2d" not in type(module).__name__.lower():
        return {2: "b c", 3: "b n c", 4: "b h w c"}.get(count)
    name = type(module).__name__.lower()
    if count == 4 and ("2d" in name or isinstance(module, nn.Upsample | nn.PixelShuffle)):
        return "b c h w"
    return "b c l" if count == 3 and "1d" in name else None


def _is_function(node: Node) -> bool:
    call = getattr(node.content, "call", None)
    return call is not None and call.function


def _value(values: Mapping[str, View], reference: str) -> View:
    found = values.get(reference)
    if found is None:
        raise Unknown(f"takes `{reference}`, which cannot be told")
    return found


def _told(draft: Draft, node: Node, output: str) -> TensorSpec:
    """What a scope gives: as it is written, or if that failed, as it is recorded."""
    if output in draft.outputs:
        return draft.specs[draft.outputs[output]]
    return node.output if isinstance(node.output, TensorSpec) else node.output[output]


def _tag(draft: Draft, view: View, sites: tuple[str, ...]) -> None:
    for item in draft.items:
        if item.name == view.ref.name:
            item.sites = tuple(dict.fromkeys((*item.sites, *sites)))
