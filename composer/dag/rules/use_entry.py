"""A mechanism or a layer of the registry, as something that a rule can insert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from composer.dag.arguments import complete, tensor_facts, unknown_options
from composer.dag.infer import missing
from composer.dag.rules.insertion import Insertion, Made
from composer.dag.rules.plugin_facts import never_told, not_asked_for
from composer.dag.rules.replaced import conv_settings, linear_settings
from composer.dag.scope import Node
from composer.dag.tensor import TensorSpec
from composer.errors import Diagnostic, Mistakes
from composer.registry import CONV_FACTS, Entry, ModuleEntry, layouts_of
from composer.spec.origin import Origin

# The settings that a layer takes over from one of its kind.
_SETTINGS = (*CONV_FACTS, "out_features")


@dataclass(frozen=True)
class _Registered:
    """What a rule uses by its name in the registry."""

    entry: Entry

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def tensors(self) -> tuple[str, ...]:
        return self.entry.tensors

    @property
    def inputs(self) -> tuple[int, int | None]:
        return self.entry.inputs

    def problems(self, written: Mapping[str, Any], origin: Origin) -> Sequence[Diagnostic]:
        return list(unknown_options(self.entry, written, origin))

    def content(
        self, insertion: Insertion, arguments: Mapping[str, Any], tensors: Sequence[TensorSpec], at: str
    ) -> Made:
        inferred = insertion.infer(self.entry, arguments, tensors)
        return inferred.operation, inferred.output


@dataclass(frozen=True)
class UsedMechanism(_Registered):
    """A mechanism, which may stand in for a convolution and then takes its settings over."""

    entry: ModuleEntry

    @property
    def replaces(self) -> str | None:
        return self.entry.replaces

    @property
    def works_on(self) -> str | None:
        return self.entry.works_on

    @property
    def layouts(self) -> tuple[str | None, ...]:
        return self.entry.layouts

    @property
    def prefix(self) -> bool:
        return self.entry.prefix

    def arguments(
        self, insertion: Insertion, host: Node, inputs: Sequence[TensorSpec], written: Mapping[str, Any], index: int
    ) -> dict[str, Any]:
        entry, here = self.entry, insertion.origin / "with"
        known: dict[str, Any] = {}
        if entry.replaces is not None and insertion.rule.position in ("replace", "beside"):
            known = self.settings(insertion, host, inputs[0], written)
        elif lacking := [
            one for one in entry.settings.model_fields if missing(entry.facts[one]) and one not in written
        ]:
            if entry.replaces is None and not entry.is_own:
                raise Mistakes(never_told(entry, lacking, insertion.origin / "use", host.path))
            raise insertion.stands_in(self.name, lacking, host)
        adapted = insertion.adapted(self, inputs, host)
        facts = {**tensor_facts(entry, adapted, here, host.path), **known}
        if index and "place_index" in entry.facts:
            facts["place_index"] = index
        return complete(entry, written, facts, here, host.path)

    def settings(
        self, insertion: Insertion, host: Node, tensor: TensorSpec, written: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The arguments that the mechanism takes over from the host that it replaces. Raises Mistakes."""
        entry = self.entry
        if host.replaces == "conv-norm-act" and entry.replaces != "conv-norm-act":
            text = f"`{host.path}` is `{host.op}`, which brings norm and activation along; `{entry.name}` has none"
            raise insertion.wrong(host, text, "a convolution, such as the site `spatial_conv`")
        if host.kind == "conv" or host.replaces is not None:
            return conv_settings(host, {k: v for k, v in entry.facts.items() if k in CONV_FACTS}, written)
        if host.kind == "linear" and tensor.layout in entry.layouts:
            known = linear_settings(host)
            return {name: known[name] for name in entry.facts if name in known}
        if entry.kind == "token" and tensor == host.output:
            # A token mixer replaces a token mixer.
            return {"out_channels": tensor.channels}
        text = f"`{entry.name}` stands in for a convolution, `{host.path}` is `{host.op}`"
        raise insertion.wrong(host, text, "a convolution, such as the site `spatial_conv`")

    def unlike(
        self, insertion: Insertion, host: Node, arriving: TensorSpec, wanted: TensorSpec
    ) -> Sequence[Diagnostic]:
        if self.entry.replaces is None:
            return ()
        problem = not_asked_for(self.entry, arriving, wanted, host, insertion.origin / "use")
        return () if problem is None else (problem,)


@dataclass(frozen=True)
class UsedLayer(_Registered):
    """A layer. In place of a layer of its kind it takes over that layer's settings, such as `out_channels`."""

    replaces: str | None = None
    prefix: bool = False

    @property
    def works_on(self) -> str | None:
        rule = self.entry.layout_rule
        return rule.partition("->")[0].strip() if isinstance(rule, str) else None

    @property
    def layouts(self) -> tuple[str | None, ...]:
        return () if self.works_on is None else layouts_of(self.works_on)

    def arguments(
        self, insertion: Insertion, host: Node, inputs: Sequence[TensorSpec], written: Mapping[str, Any], index: int
    ) -> dict[str, Any]:
        entry, here = self.entry, insertion.origin / "with"
        known: dict[str, Any] = {}
        if insertion.rule.position in ("replace", "beside") and _is_alike(entry, host):
            fields = entry.known_options
            wanted = {name: fields[name].default for name in _SETTINGS if name in fields and name not in written}
            known = conv_settings(host, wanted, written)
        facts = tensor_facts(entry, insertion.adapted(self, inputs, host), here, host.path)
        return complete(entry, {**known, **written}, facts, here, host.path)

    def unlike(
        self, insertion: Insertion, host: Node, arriving: TensorSpec, wanted: TensorSpec
    ) -> Sequence[Diagnostic]:
        return ()


def _is_alike(entry: Entry, host: Node) -> bool:
    """Whether a layer takes the host's settings over: both are of one kind, or the host stands in for a convolution."""
    return host.kind == entry.kind or (entry.kind == "conv" and host.replaces is not None)
