"""What a rule's `use` names: a mechanism or a layer of the registry, or a block of the spec or of a plugin."""

from __future__ import annotations

from composer import registry
from composer.dag.limits import Limits
from composer.dag.rules.insertion import Used
from composer.dag.rules.use_block import UsedBlock
from composer.dag.rules.use_entry import UsedLayer, UsedMechanism
from composer.errors import Diagnostic, one_of
from composer.registry import BlockEntry, ModuleEntry, ParameterEntry
from composer.spec.model import Rule
from composer.spec.names import takes_nothing, unknown_mechanism, unknown_tensors
from composer.spec.origin import Origin
from composer.spec.spec import Spec


def used(rule: Rule, origin: Origin, spec: Spec, limits: Limits) -> tuple[Used | None, list[Diagnostic]]:
    """What a rule uses, and its problems that hold at any place: an unknown name, or unknown options or tensors.

    A block that the rule's own file writes comes before what is registered under its name, so that no later mechanism
    changes what a file means. None for a rule that uses nothing, and for a name that means nothing or two things.
    """
    if rule.use is None:
        return None, []
    entry = registry.get(rule.use)
    here = spec.block_origins.get(rule.use)
    if here is not None and entry is not None and here.document is not origin.document:
        text = f"block `{rule.use}` has the name of a registered {entry.category}"
        where = origin.location()
        help = (f"`use: {rule.use}`{f' at {where}' if where else ''} could mean either",)
        return None, [here.problem("name", text, "another name", help, key=True)]
    found: Used
    if rule.use in spec.blocks:
        found = UsedBlock(spec, rule.use, limits)
    elif isinstance(entry, BlockEntry):
        found = UsedBlock(entry.library, entry.name, limits, entry)
    elif isinstance(entry, ModuleEntry) and entry.category == "mechanism":
        found = UsedMechanism(entry)
    elif entry is not None and not isinstance(entry, ParameterEntry):
        found = UsedLayer(entry)
    else:
        return None, [_unknown(rule.use, origin / "use", spec, is_parameter=entry is not None), *registry.failures()]
    more = unknown_tensors(found.name, found.tensors, rule, origin)
    return found, [*found.problems(rule.options, origin / "with"), *more]


def _unknown(name: str, origin: Origin, spec: Spec, *, is_parameter: bool) -> Diagnostic:
    if is_parameter:
        return takes_nothing(name, origin)
    lock = spec.writer.content.lock or {}
    loaded = {plugin.name for plugin in registry.plugin_versions()}
    if missing := [plugin for plugin in lock.get("plugins", {}) if plugin not in loaded]:
        help = f"the lock was written with {one_of(missing)}; a plugin file is given as `--plugin {missing[0]}`"
        return origin.problem(
            "unknown-mechanism", f"unknown mechanism `{name}`", "of a plugin that is missing", (help,)
        )
    known = [*(one.name for one in registry.entries()), *spec.blocks]
    return unknown_mechanism(name, known, registry.hint(name), origin)
