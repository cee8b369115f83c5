"""Equal scopes become one block: where they differ, the block has arguments, and runs of one block are repeats."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from composer import registry
from composer.importing.recorded.draft import Draft, Item

CONTAINERS = ("Sequential", "ModuleList", "SequentialList")


@dataclass(eq=False)
class Entry:
    """A node of one scope.

    drafts  of a node with a block: its instances; more than one in a repeat
    repeat  whether they are the copies of a repeat
    prefix, start  the names of the copies are the prefix and a number, counted from `start`
    inline  whether the copies are nodes of the scope itself
    """

    name: str
    refs: list[str]
    op: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    template: Template | None = None
    drafts: list[Draft] = field(default_factory=list)
    sites: tuple[str, ...] = ()
    share: str | None = None
    repeat: bool = False
    prefix: str = ""
    start: int = 0
    inline: bool = False

    @property
    def names(self) -> tuple[str, int]:
        return self.prefix, self.start


@dataclass(eq=False)
class Line:
    """A node of a block. `entries` holds it for each instance that has it."""

    name: str
    refs: list[str]
    entries: dict[int, Entry]

    @property
    def one(self) -> Entry:
        return next(iter(self.entries.values()))

    @property
    def template(self) -> Template | None:
        return self.one.template


@dataclass(eq=False)
class Template:
    """A block: what its instances share.

    uses     its instances
    outputs  output -> reference
    """

    kind: str
    hint: str
    sites: tuple[str, ...]
    inputs: list[str]
    lines: list[Line]
    outputs: dict[str, str]
    uses: list[Draft]


@dataclass
class Merger:
    """Makes the blocks of drafts, inner scopes first."""

    templates: list[Template] = field(default_factory=list)

    def template(self, draft: Draft, hint: str, sites: tuple[str, ...] = ()) -> Template:
        """The block of a scope: one that there is, if the scope fits, or else a new one."""
        entries = self.entries(draft)
        return self._joined(draft, entries, hint, sites)

    def _joined(self, draft: Draft, entries: list[Entry], hint: str, sites: tuple[str, ...]) -> Template:
        outputs = _renamed(draft.outputs, entries)
        for known in self.templates:
            named = known.kind == draft.kind and (draft.kind not in CONTAINERS or known.hint == hint)
            if named and known.sites == sites and self._merge(known, draft, entries, outputs):
                return known
        lines = [Line(one.name, list(one.refs), {id(draft): one}) for one in entries]
        made = Template(draft.kind, hint, sites, list(draft.inputs), lines, outputs, [draft])
        self.templates.append(made)
        return made

    def entries(self, draft: Draft) -> list[Entry]:
        """The nodes of a scope, runs of one block as repeats."""
        made = [self.entry(item, draft) for item in draft.items]
        return _folded(made, draft)

    def entry(self, item: Item, around: Draft) -> Entry:
        if item.inner is None:
            own = {} if item.share else item.options
            return Entry(item.name, list(item.refs), item.op, own, sites=item.sites, share=item.share)
        inner = self.entries(item.inner)
        if _is_run(item.inner, inner, item.refs):
            (run,) = inner
            return Entry(
                item.name,
                list(item.refs),
                template=run.template,
                drafts=run.drafts,
                sites=item.sites,
                repeat=True,
                prefix=run.prefix,
                start=run.start,
            )
        hint = item.name if not item.name.isdigit() else around.name
        sites = item.sites
        template = self._joined(item.inner, inner, hint, sites)
        return Entry(item.name, list(item.refs), template=template, drafts=[item.inner])

    def _merge(self, known: Template, draft: Draft, entries: Sequence[Entry], outputs: Mapping[str, str]) -> bool:
        """Adds a scope to a block, if it differs in options and in nodes that pass their input on."""
        if known.inputs != list(draft.inputs) or list(known.outputs) != list(outputs):
            return False
        if any(one.template is not None and _holds(one.template, known) for one in entries):
            return False
        mine = {line.name: line for line in known.lines}
        theirs = {entry.name: entry for entry in entries}
        both = [name for name in mine if name in theirs]
        if both != [name for name in theirs if name in mine] or 2 * len(both) < max(len(mine), len(theirs)):
            return False
        if not all(_alike(mine[name].one, theirs[name]) for name in both):
            return False
        only_mine = {line.name: line.refs for line in known.lines if line.name not in theirs}
        only_theirs = {entry.name: entry.refs for entry in entries if entry.name not in mine}
        if (only_mine or only_theirs) and (draft.kind in CONTAINERS or not both):
            return False
        if not all(_may_lack(one) for one in (*(mine[n].one for n in only_mine), *(theirs[n] for n in only_theirs))):
            return False
        refs: dict[str, list[str]] = {}
        for name in both:
            found = _joint(mine[name].refs, theirs[name].refs, only_mine, only_theirs)
            if found is None:
                return False
            refs[name] = found
        ends = _joint(list(known.outputs.values()), list(outputs.values()), only_mine, only_theirs)
        if ends is None:
            return False
        used = {ref.partition(".")[0] for one in (*refs.values(), ends) for ref in one}
        if not (_passed_on(only_mine, used) and _passed_on(only_theirs, used)):
            return False
        for name in both:
            mine[name].refs = refs[name]
            mine[name].entries[id(draft)] = theirs[name]
        known.lines = _interleaved(known.lines, entries, set(both), id(draft))
        known.outputs = dict(zip(known.outputs, ends, strict=True))
        known.uses.append(draft)
        return True


def _holds(template: Template, sought: Template) -> bool:
    """Whether a block is another, or has a node that is, at any depth."""
    inner = {id(entry.template): entry.template for line in template.lines for entry in line.entries.values()}
    return template is sought or any(one is not None and _holds(one, sought) for one in inner.values())


def in_order(template: Template) -> list[Template]:
    """A block and those of its nodes, at any depth, each after those that it needs."""
    found: dict[int, Template] = {}

    def visit(one: Template) -> None:
        for line in one.lines:
            for entry in line.entries.values():
                if entry.template is not None and id(entry.template) not in found:
                    visit(entry.template)
        found[id(one)] = one

    visit(template)
    return list(found.values())


def _alike(one: Entry, other: Entry) -> bool:
    """Whether nodes may be one of a block, apart from the values of options."""
    if (one.sites, one.share, one.repeat, one.inline, len(one.refs)) != (
        other.sites,
        other.share,
        other.repeat,
        other.inline,
        len(other.refs),
    ):
        return False
    if one.template is not None or other.template is not None:
        same = one.template is not None and other.template is not None and one.template is other.template
        return same and (not one.repeat or one.names == other.names)
    if one.op != other.op:
        return _is_bare(one) and _is_bare(other)
    return all(_comparable(one, other, name) for name in {**one.options, **other.options})


def _comparable(one: Entry, other: Entry, option: str) -> bool:
    """Whether the values of an option may be those of an argument: null is none, and mappings need equal keys."""
    values = [entry.options.get(option, option_default(entry.op or "", option)) for entry in (one, other)]
    if None in values:
        return values[0] is values[1]
    if all(isinstance(value, Mapping) for value in values):
        return list(values[0]) == list(values[1])
    return option != "pattern" or values[0] == values[1]


def option_default(op: str, option: str) -> Any:
    """The default of a layer's option."""
    entry = registry.get(op)
    assert entry is not None, op
    return next(model.model_fields[option].default for model in entry.models if option in model.model_fields)


def _is_bare(entry: Entry) -> bool:
    """Whether it is an activation without options, whose name may be an argument."""
    found = registry.get(entry.op or "")
    return found is not None and found.kind == "activation" and not entry.options


def _may_lack(entry: Entry) -> bool:
    """Whether a block may have the node in some instances only: without it, the first input is passed on."""
    return (
        bool(entry.refs)
        and not entry.inline
        and entry.share is None
        and (entry.template is None or len(entry.template.outputs) == 1)
    )


def _joint(
    mine: Sequence[str],
    theirs: Sequence[str],
    only_mine: Mapping[str, Sequence[str]],
    only_theirs: Mapping[str, Sequence[str]],
) -> list[str] | None:
    """References that mean the one where some nodes are left out, and the other where others are."""
    found = []
    for one, other in zip(mine, theirs, strict=True):
        if one == other or _through(one, only_mine) == other:
            found.append(one)
        elif _through(other, only_theirs) == one:
            found.append(other)
        else:
            return None
    return found


def _passed_on(only: Mapping[str, Sequence[str]], used: set[str]) -> bool:
    """Whether each node that is left out still has a user of what it passes on."""
    firsts = {refs[0] for refs in only.values()}
    return all(name in used or name in firsts for name in only)


def _through(reference: str, left_out: Mapping[str, Sequence[str]]) -> str:
    while reference in left_out:
        reference = left_out[reference][0]
    return reference


def _interleaved(lines: Sequence[Line], entries: Sequence[Entry], both: set[str], use: int) -> list[Line]:
    found: list[Line] = []
    left = list(lines)
    for entry in entries:
        if entry.name in both:
            while left[0].name != entry.name:
                found.append(left.pop(0))
            found.append(left.pop(0))
        else:
            found.append(Line(entry.name, list(entry.refs), {use: entry}))
    return found + left


def _is_run(draft: Draft, entries: Sequence[Entry], refs: Sequence[str]) -> bool:
    """Whether a scope is nothing but a repeat, in the order in which its own inputs are taken."""
    if len(entries) != 1 or len(draft.outputs) != 1:
        return False
    (one,) = entries
    return (
        one.inline
        and list(draft.outputs.values()) in ([one.name], [f"{one.prefix}{one.start + len(one.drafts) - 1}"])
        and one.refs == list(draft.inputs)
        and len(refs) == len(draft.inputs)
    )


def _folded(entries: list[Entry], draft: Draft) -> list[Entry]:
    """The nodes of a scope, each run of instances of one block, named with numbers in order, as one repeat."""
    found: list[Entry] = []
    index = 0
    while index < len(entries):
        run = [entries[index]]
        while index + len(run) < len(entries) and _follows(run[-1], entries[index + len(run)]):
            run.append(entries[index + len(run)])
        while len(run) > 1 and _seen(run[:-1], entries, draft):
            run.pop()
        alone = len(entries) == 1 and entries[0].name == "0" and _is_single(entries[0])
        found.append(_repeat(run, [*entries, *found], draft) if len(run) > 1 or alone else run[0])
        index += len(run)
    renamed = {}
    for one in found:
        if one.inline and one.drafts:
            renamed[f"{one.prefix}{one.start + len(one.drafts) - 1}"] = one.name
    for one in found:
        one.refs = [renamed.get(ref, ref) for ref in one.refs]
    return found


def _renamed(outputs: Mapping[str, str], entries: Sequence[Entry]) -> dict[str, str]:
    last = {f"{one.prefix}{one.start + len(one.drafts) - 1}": one.name for one in entries if one.inline}
    return {name: last.get(ref, ref) for name, ref in outputs.items()}


def _is_single(entry: Entry) -> bool:
    return (
        entry.template is not None
        and not entry.repeat
        and len(entry.template.outputs) == 1
        and entry.share is None
        and bool(entry.refs)
    )


def _follows(one: Entry, other: Entry) -> bool:
    if not (_is_single(one) and _is_single(other)) or one.sites != other.sites:
        return False
    (prefix, number), (wanted, following) = _numbered(one.name), _numbered(other.name)
    return (
        one.template is other.template
        and (prefix, number + 1) == (wanted, following)
        and number >= 0
        and other.refs == [one.name, *one.refs[1:]]
    )


def _numbered(name: str) -> tuple[str, int]:
    found = re.fullmatch(r"(.*?)(0|[1-9]\d*)", name)
    return (name, -9) if found is None else (found[1], int(found[2]))


def _seen(run: Sequence[Entry], entries: Sequence[Entry], draft: Draft) -> bool:
    """Whether something besides the next copy takes what copies before the last give."""
    uses = Counter(ref.partition(".")[0] for entry in entries for ref in entry.refs)
    uses.update(ref.partition(".")[0] for ref in draft.outputs.values())
    return any(uses[one.name] != 1 for one in run)


def _repeat(run: Sequence[Entry], entries: Sequence[Entry], draft: Draft) -> Entry:
    first = run[0]
    prefix, start = _numbered(first.name)
    taken = {one.name for one in entries} | set(draft.inputs)
    name = next(one for one in ("units", "copies", *(f"units_{n}" for n in range(2, 99))) if one not in taken)
    return Entry(
        name,
        list(first.refs),
        template=first.template,
        drafts=[each for one in run for each in one.drafts],
        sites=first.sites,
        repeat=True,
        prefix=prefix,
        start=start,
        inline=True,
    )
