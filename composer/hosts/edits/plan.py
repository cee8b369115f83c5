"""From a recorded tree before and after rules to the edits of the live modules. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from composer.compile.parts import is_child
from composer.dag.host import HostScope
from composer.dag.nodes.moving import moved
from composer.dag.scope import Node
from composer.errors import Diagnostic, GraphError, one_of
from composer.hosts.edits.apply import ModuleEdit
from composer.hosts.edits.beside import hider_of
from composer.hosts.edits.edit import text_of_edit
from composer.hosts.edits.ends import Ends, ends_of, joined, text_of_ends
from composer.hosts.edits.fast_path import close_fast_paths
from composer.hosts.edits.following import Followed, follow, frames_of
from composer.hosts.edits.frames import Change, FlatStep, change_of, frames
from composer.hosts.edits.leaves import as_children, at_host, attached
from composer.hosts.edits.opened import Closed, Opened, opened
from composer.hosts.edits.text import file_text
from composer.hosts.refusal import other_forwards
from composer.torch_private import children


@dataclass
class Plan:
    """The edits of a model's modules, and what calls the inserted modules.

    edits     by path of the module
    calls     path of an inserted module -> how often one call of the model calls it
    bypassed  paths of modules whose forward was edited, though other methods of theirs run the same children
    held      paths of inserted modules that only others call
    places    paths of the mechanisms, in the order in which they run
    leaves    paths of modules without parts that were changed themselves
    nodes     path of an inserted module or parameter -> path of its node in the tree
    """

    edits: dict[str, ModuleEdit] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    bypassed: list[str] = field(default_factory=list)
    leaves: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    nodes: dict[str, str] = field(default_factory=dict)

    def at(self, path: str) -> ModuleEdit:
        """The edit of the module at a path."""
        return self.edits.setdefault(path, ModuleEdit(path))

    @property
    def added(self) -> dict[str, Node]:
        """Path -> node of each inserted module and parameter."""
        return {node.path: node for edit in self.edits.values() for node in edit.add.values()}


def plan(model: nn.Module, before: HostScope, after: HostScope, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Plan:
    """The edits that turn a recorded model into what rules made of its tree. Raises GraphError with every refusal.

    model         on the meta device, in evaluation mode, as `before` was recorded from it
    after         the tree with rules applied, and further tensors wired
    args, kwargs  as `before` was recorded
    """
    return _Planner(model, before, after, args, kwargs).plan()


@dataclass
class _Planner:
    model: nn.Module
    before: HostScope
    after: HostScope
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    made: Plan = field(default_factory=Plan)
    problems: list[Diagnostic] = field(default_factory=list)
    said: set[tuple[type, str]] = field(default_factory=set)

    def plan(self) -> Plan:
        known = {frame.path: frame for frame in frames(self.before)}
        changed = {frame.path: frame for frame in frames(self.after)}
        self.frames = known
        found = [change_of(frame, changed[path]) for path, frame in known.items() if path in changed]
        changes = [one for one in found if one is not None]
        to_open: list[Change] = []
        for change in changes:
            made = type(self.model.get_submodule(change.path))
            if change.only_replaces:
                self.place(change)
            elif not change.crosses and (ends := ends_of(change, made)) is not None:
                self.swap(change, ends)
            else:
                to_open.append(change)
        self.open(to_open)
        for scope in (self.after, *(node.content for node in self.after.walk() if isinstance(node.content, HostScope))):
            for name, node in scope.held.items():
                if node.rule is not None:
                    self.put(scope.path, name, node, node.path)
                    self.made.held.append(node.path)
        self.problems += self.without_place()
        if self.problems:
            raise GraphError(self.problems)
        self.hide()
        close_fast_paths(self.model, self.made.edits)
        self.made.calls = {path: self.num_calls(one) for path, one in self.made.nodes.items()}
        order = {node.path: number for number, node in enumerate(self.after.walk())}
        used = [path for path, node in self.made.added.items() if node.role == "used" and path not in self.made.held]
        self.made.places = sorted(used, key=lambda path: order[self.made.nodes[path]])
        return self.made

    def without_place(self) -> Iterator[Diagnostic]:
        """The problem of the first rule whose module no edit puts in."""
        if self.problems:
            return
        for node in self.after.walk():
            own = node.role == "used" and node.calls is None and node.owns and is_child(node)
            if own and node.path not in self.made.nodes.values():
                text = f"`{node.path}` would run in a module whose calls were not recorded, such as a scripted one"
                yield node.origin.problem("closed", text, "a place in a plain module", path=node.path)
                return

    def num_calls(self, path: str) -> int:
        """How often one call of the model calls the module of an inserted node."""
        held = {id(node) for node in self.after.held.values()}
        found = 0
        for node in self.after.walk():
            if isinstance(node.content, HostScope):
                held |= {id(one) for one in node.content.held.values()}
            elif id(node) not in held:
                found += (path in (node.path, node.owner)) + list(node.shares.values()).count(path) * node.owns
        return found

    def put(self, holder: str, name: str, node: Node, path: str) -> None:
        """A module or parameter becomes a child; `path` is that of its node in the tree."""
        self.made.at(holder).add[name] = node
        self.made.nodes[node.path] = path

    def place(self, change: Change) -> None:
        """Give the modules of a change to their holders, and take out those that nothing calls any more."""
        for name, step in change.added.items():
            if not is_child(step.node):
                continue
            old = change.gone.get(name)
            if old is not None and old.calls_module:
                holder, _, own = old.node.path.rpartition(".")
                self.put(holder, own, moved(step.node, old.node.path), step.node.path)
            elif step.node.calls is None:
                self.put(change.after.holder(step), step.node.name, step.node, step.node.path)
        for name, step in change.gone.items():
            if name not in change.added and step.calls_module and not self.is_called(step.node.path):
                holder, _, own = step.node.path.rpartition(".")
                self.made.at(holder).drop.append(own)

    def is_called(self, path: str) -> bool:
        """Whether the tree after the rules still calls a module that was recorded."""
        return any(node.path == path and node.rule is None for node in self.after.walk())

    def swap(self, change: Change, ends: Ends) -> None:
        made = type(self.model.get_submodule(change.path))
        self.place(change)
        names = self.made.at(change.path).add
        self.made.at(change.path).text = text_of_ends(ends, made, hider_of(made), names)

    def open(self, changes: Sequence[Change]) -> None:
        """Edit between the steps of forwards; where one cannot be opened, at its modules' ends."""
        # What other methods of the class run too, they meet only at the modules themselves.
        changes = [
            one
            for one in changes
            if not other_forwards(type(self.model.get_submodule(one.path))) or not self.at_modules(one, owned=False)
        ]
        if not changes:
            return
        ran = frames_of(self.model, self.args, self.kwargs)
        forwards: dict[str, Opened] = {}
        closed: dict[str, Closed] = {}
        for change in changes:
            frame = ran.get(change.path)
            if frame is None:
                closed[change.path] = Closed("it is not called by its own name")
                continue
            try:
                forwards[change.path] = opened(self.model.get_submodule(change.path), frame[1])
            except Closed as error:
                closed[change.path] = error
        known = {path: frame for path, (frame, _) in ran.items()}
        followed = follow(self.model, self.args, self.kwargs, known, forwards) if forwards else {}
        for change in changes:
            one = followed.get(change.path) or closed[change.path]
            try:
                if isinstance(one, Closed):
                    raise one
                self.edit(change, one)
            except Closed as error:
                made = type(self.model.get_submodule(change.path))
                if not self.at_modules(change, owned=True) and (made, str(error)) not in self.said:
                    # Blocks of a kind cannot be opened for one reason, which is said once.
                    self.said.add((made, str(error)))
                    self.problems.append(self.cannot_open(change, error))

    def edit(self, change: Change, followed: Followed) -> None:
        made = type(self.model.get_submodule(change.path))
        text = text_of_edit(followed, change, made, hider_of(made), self.own(change), self.filled(change))
        self.place(change)
        self.made.at(change.path).text = text
        if other_forwards(made):
            self.made.bypassed.append(change.path)

    def own(self, change: Change) -> list[str]:
        return [step.node.name for step in change.added.values() if not step.place and is_child(step.node)]

    def filled(self, change: Change) -> list[str]:
        """Attributes of the frame's module that are None and give their name to an inserted module."""
        module = self.model.get_submodule(change.path)
        return [name for name in self.own(change) if module.__dict__.get(name, self) is None]

    def at_modules(self, change: Change, *, owned: bool) -> bool:
        """Put what stands right after or before one module at that module's own ends; whether all of it does.

        owned  whether that module also owns it, and not the frame's module as elsewhere
        """
        found = [] if change.crosses else list(attached(change))
        left = set(change.added) - {name for _, _, names in found for name in names}
        lone = all(self.is_lone(host) and not self.made.at(host.node.path).text for host, _, _ in found)
        told = any(step.node.shares or (step.place and not owned) for step in change.added.values())
        if change.gone or left or told or not (found and lone):
            return False
        by_host: dict[str, list[Ends]] = {}
        for host, ends, _ in found:
            path = host.node.path
            here = at_host(ends, self.model.get_submodule(path))
            by_host.setdefault(path, []).append(self.owned(here, host) if owned else here)
        if not owned:
            self.place(change)
        for path, several in by_host.items():
            made = type(self.model.get_submodule(path))
            edit = self.made.at(path)
            edit.around = None if owned else change.path
            beside = edit.add if owned else ()
            edit.text = text_of_ends(joined(several), made, hider_of(made), beside, around=not owned)
            self.made.leaves.append(path)
        return True

    def owned(self, ends: Ends, host: FlatStep) -> Ends:
        """The ends of a module as its own children."""
        path = host.node.path
        found = as_children(ends, host, self.model.get_submodule(path))
        for step, was in zip((*found.first, *found.last), (*ends.first, *ends.last), strict=True):
            if is_child(step.node):
                self.put(path, step.node.name, step.node, was.node.path)
        return found

    def is_lone(self, host: FlatStep) -> bool:
        """Whether a recorded step is the only call of its module."""
        calls = [node for node in self.before.walk() if node.path == host.node.path]
        return host.calls_module and len(calls) == 1 and host.node.owns

    def cannot_open(self, change: Change, error: Closed) -> Diagnostic:
        module = type(self.model.get_submodule(change.path)).__name__
        step = next(iter((*change.added.values(), *change.gone.values(), *change.before.steps.values())))
        where = f"`{change.path}` ({module})" if change.path else f"the model's own forward ({module})"
        inside = [name for name, one in change.before.steps.items() if self.is_lone(one)]
        help = (f"places here: before and after it and its modules: {one_of(inside)}",) if inside else ()
        if step.node.rule is None:
            return Diagnostic("closed", f"{where} cannot be opened: {error}", path=step.node.path, help=help)
        return step.node.origin.problem("closed", f"{where} cannot be opened: {error}", path=step.node.path, help=help)

    def hide(self) -> None:
        """Containers that iterate over their children leave out what was put in."""
        for path, edit in self.made.edits.items():
            made = type(self.model.get_submodule(path))
            hider = hider_of(made)
            old = children(self.model.get_submodule(path))
            beside = [name for name, node in edit.add.items() if name not in old and is_child(node)]
            if hider and beside and not edit.text:
                edit.text = file_text(made, "", (), (), hider, beside)
