"""Members of a module list that a forward calls by hand, in a scope of the list: their weights have its name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from composer.importing.recorded.draft import Draft, Item


def contained(draft: Draft) -> list[Item]:
    """Puts the items with longer paths into scopes of their containers. Returns those for which no scope can be made.

    A scope runs at once, so nothing between its nodes may need some of them and be needed by others; and it takes
    something in, so it cannot hold parameters alone.
    """
    left: list[Item] = []
    groups: dict[str, list[Item]] = {}
    for item in draft.items:
        parts = _parts(item, draft)
        if len(parts) > 1:
            groups.setdefault(parts[0], []).append(item)
    for container, members in groups.items():
        if container in draft.specs or container in draft.inputs or not _gather(draft, container, members):
            left += members
    return left


def _parts(item: Item, draft: Draft) -> list[str]:
    prefix = f"{draft.path}." if draft.path else ""
    return item.path.removeprefix(prefix).split(".") if item.path.startswith(prefix) else [item.path]


def _gather(draft: Draft, container: str, members: Sequence[Item]) -> bool:
    names = {item.name for item in members}
    later: set[str] = set()
    for item in draft.items:
        needed = {ref.partition(".")[0] for ref in item.refs}
        if item.name in names:
            if needed & later:
                return False
        elif needed & (names | later):
            later.add(item.name)
    path = f"{draft.path}.{container}" if draft.path else container
    short = {item.name: _short(item, path) for item in members}
    inner = Draft("ModuleList", container, path, {})
    outside: dict[str, str] = {}
    for item in members:
        for ref in item.refs:
            name = ref.partition(".")[0]
            if name not in names and ref not in outside:
                outside[ref] = (
                    "input" if not outside else re.sub(r"\W", "_", ref if not ref[0].isdigit() else f"_{ref}")
                )
                inner.inputs[outside[ref]] = draft.specs[ref]
    if not outside:
        # What a scope gives must depend on what it takes.
        return False
    inner.specs.update(inner.inputs)

    def told(ref: str) -> str:
        name, dot, rest = ref.partition(".")
        return outside.get(ref) or f"{short[name]}{dot}{rest}"

    for item in members:
        for ref, spec in draft.specs.items():
            if ref.partition(".")[0] == item.name:
                inner.specs[told(ref)] = spec
    others = [item for item in draft.items if item.name not in names]
    used = [ref for item in others for ref in item.refs] + list(draft.outputs.values())
    wanted = [ref for ref in dict.fromkeys(used) if ref.partition(".")[0] in names]
    given = {ref: "output" if len(wanted) == 1 else f"out_{told(ref).replace('.', '_')}" for ref in wanted}
    inner.outputs = {name: told(ref) for ref, name in given.items()}
    after = {ref: container if len(wanted) == 1 else f"{container}.{name}" for ref, name in given.items()}
    for ref, now in after.items():
        draft.specs[now] = draft.specs[ref]
    last = max(index for index, item in enumerate(draft.items) if item.name in names)
    before = [item for item in draft.items[:last] if item.name not in names | later]
    behind = [item for item in draft.items if item.name not in names and item not in before]
    group = Item(container, path, list(outside), inner=inner)
    for item in members:
        item.refs = [told(ref) for ref in item.refs]
        item.name = short[item.name]
        inner.items.append(item)
    for item in others:
        item.refs = [after.get(ref, ref) for ref in item.refs]
    draft.outputs = {name: after.get(ref, ref) for name, ref in draft.outputs.items()}
    draft.items = [*before, group, *behind]
    return not contained(inner)


def _short(item: Item, path: str) -> str:
    """The name of a member in its container: `0`, and `act_0` for what was added behind it."""
    name = item.path.removeprefix(f"{path}.").replace(".", "_")
    found = re.fullmatch(r"(\d+)_([a-z]\w*)", name)
    return f"{found[2]}_{found[1]}" if found and "." not in item.path.removeprefix(f"{path}.") else name
