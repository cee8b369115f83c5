"""Edits an opened forward: inserted steps, redirected inputs, steps taken out; and writes it as text."""

from __future__ import annotations

import inspect
import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import fx, nn

from composer.dag.operation import Operation
from composer.hosts.edits.ends import call_of
from composer.hosts.edits.following import Followed
from composer.hosts.edits.frames import Change, FlatStep, Ref
from composer.hosts.edits.opened import FURTHER, Closed
from composer.hosts.edits.results import brought, pass_outward
from composer.hosts.edits.signature import declared
from composer.hosts.edits.text import file_text
from composer.registry import FunctionEntry, ParameterEntry
from composer.torch_private import import_lines

# What the keywords begin with, or are, by which generated forwards hand on tensors of other forwards.
BROUGHT, OUTWARD = "brought_", "outward"


def text_of_edit(
    followed: Followed,
    change: Change,
    made: type[nn.Module],
    hider: str | None,
    beside: Iterable[str],
    filled: Iterable[str],
) -> str:
    """The file of the subclass of a class whose forward is the edited graph. Raises Closed.

    hider   the name of a base class that hides children, for a container
    beside  the names of the children to hide
    filled  names of attributes that were None and now hold what was inserted
    """
    edit = _Edit(followed, change)
    edit.apply()
    _sort(edit.graph)
    code = edit.graph.python_code("self")
    opened = followed.opened
    read = {name: value for name, value in opened.read.items() if name not in filled}
    lines = [*_guards(opened.fixed, read), *(edit.called(line) for line in _lines(code.src))]
    words = set(re.findall(r"\w+", "\n".join(lines)))
    imports = import_lines({name: one for name, one in code.globals.items() if name in words})
    return file_text(made, declared(edit.parameters), lines, change.added.values(), hider, beside, imports)


def _lines(source: str) -> list[str]:
    """The body of the forward that torch.fx writes."""
    body = source.split("\n")
    start = next(number for number, line in enumerate(body) if line.startswith("def forward("))
    found = []
    for line in body[start + 1 :]:
        text = re.sub(rf"\b{FURTHER} = (\w+)", r"**\1", line.removeprefix("    "))
        if text.strip():
            found.append(text)
    return found


def _guards(fixed: Mapping[str, Any], read: Mapping[str, Any]) -> list[str]:
    """Lines that refuse a call for which the graph was not made."""
    lines = []
    for names, start in ((fixed, ""), (read, "self.")):
        if names:
            words = ", ".join(f"{start}{name}" for name in names)
            values = ", ".join(f"{name!r}: {value!r}" for name, value in names.items())
            lines.append(f"as_opened({{{values}}}, {words})")
    return lines


def _target(number: int) -> Any:
    """A target in a graph for the expression of an inserted step; `called` writes the expression in its place."""

    def inserted(*args: Any) -> Any:
        raise AssertionError("an edited graph is written, never run")

    inserted.__name__ = inserted.__qualname__ = f"inserted_{number}"
    inserted.stands_for = number  # type: ignore[attr-defined]
    return inserted


def _sort(graph: fx.Graph) -> None:
    """Move steps behind what they take, and no further than that."""
    done: set[fx.Node] = set()
    waiting = list(graph.nodes)
    last: fx.Node | None = None
    while waiting:
        node = next(one for one in waiting if done.issuperset(one.all_input_nodes))
        if node is not waiting[0] and last is not None:
            last.append(node)
        waiting.remove(node)
        done.add(node)
        last = node
    graph.lint()


@dataclass
class _Edit:
    """A graph while a change is made in it; `made` has the steps of the graph for inserted steps."""

    followed: Followed
    change: Change
    made: dict[str, fx.Node] = field(default_factory=dict)
    functions: list[FlatStep] = field(default_factory=list)
    crossing: dict[Ref, fx.Node] = field(default_factory=dict)

    def called(self, line: str) -> str:
        """A line of the forward, with the expression of an inserted function."""
        found = re.search(r"\w*inserted_(\d+)\(([^()]*)\)", line)
        if found is None:
            return line
        step = self.functions[int(found[1])]
        return line[: found.start()] + call_of(step, found[2].split(", ")) + line[found.end() :]

    @property
    def graph(self) -> fx.Graph:
        return self.followed.opened.graph

    @property
    def parameters(self) -> list[inspect.Parameter]:
        """Those of the forward, and keywords for the tensors that cross its border."""
        words = [
            *(f"{BROUGHT}{name}" for name in sorted(self.change.brought)),
            *([OUTWARD] if self.change.outward else []),
        ]
        more = [inspect.Parameter(word, inspect.Parameter.KEYWORD_ONLY, default=None) for word in words]
        own = list(self.followed.opened.parameters)
        last = [one for one in own if one.kind is one.VAR_KEYWORD]
        return [*(one for one in own if one not in last), *more, *last]

    def arrive(self) -> None:
        """Steps for the tensors of other frames: those that arrive here, and those that modules inside pass outward."""
        for name in sorted(self.change.brought):
            with self.graph.inserting_after(self.last_placeholder()):
                word = self.graph.placeholder(f"{BROUGHT}{name}", default_value=None)
            with self.graph.inserting_after(self.last_placeholder()):
                self.crossing[Ref(name, is_input=True)] = self.graph.call_function(brought, (word, name))
        after = self.change.after
        taken = {*self.change.outward.values(), *(one for step in after.steps.values() for one in step.inputs)}
        for ref in sorted(filter(self.change.is_outward, taken), key=lambda one: (one.name, one.key)):
            call = self.call(ref.name)
            if OUTWARD not in call.kwargs:
                with self.graph.inserting_before(call):
                    call.kwargs = {**call.kwargs, OUTWARD: self.graph.call_function(dict, ())}
            with self.graph.inserting_after(call):
                self.crossing[ref] = self.graph.call_function(operator.getitem, (call.kwargs[OUTWARD], ref.key))

    def leave(self) -> None:
        """Hand tensors to modules inside, and pass tensors outward."""
        for (name, word), ref in self.change.handed.items():
            call = self.call(name)
            call.kwargs = {**call.kwargs, f"{BROUGHT}{word}": self.node(ref)}
        if self.change.outward:
            with self.graph.inserting_after(self.last_placeholder()):
                holder = self.graph.placeholder(OUTWARD, default_value=None)
            with self.graph.inserting_before(self.output()):
                for name, ref in self.change.outward.items():
                    self.graph.call_function(pass_outward, (holder, name, self.node(ref)))

    def call(self, name: str) -> fx.Node:
        """The step of the graph that calls a module inside."""
        step = self.change.before.steps[name]
        if step.node.calls is not None or not step.node.owns:
            raise Closed(f"`{name}` is called more than once")
        return self.followed.calls[self.followed.name_of(step)]

    def apply(self) -> None:
        self.arrive()
        for step in self.change.added.values():
            self.insert(step)
        by_source: dict[Ref, list[tuple[str | tuple[str, int], Ref]]] = {}
        for (name, number), now in self.change.moved.items():
            was = self.change.before.steps[name].inputs[number]
            by_source.setdefault(was, []).append(((name, number), now))
        for output, now in self.change.results.items():
            by_source.setdefault(self.change.before.outputs[output], []).append((output, now))
        for was, users in by_source.items():
            self.redirect(was, users)
        for name in self.change.gone:
            if name in self.change.added:
                # Another step has its name: those that took it, take the other one.
                self.old(Ref(name)).replace_all_uses_with(self.made[name], propagate_meta=False)
        for step in reversed(list(self.change.gone.values())):
            self.erase(step)
        self.leave()
        self.protect()
        for node in reversed(self.graph.nodes):
            # Sizes that are unpacked and not used.
            if node.target in (operator.getitem, getattr) and not node.users:
                self.graph.erase_node(node)

    def protect(self) -> None:
        """Let steps that overwrite a tensor overwrite a copy, where an insertion needs the tensor."""
        needed = {one for made in self.made.values() for one in made.all_input_nodes}
        needed |= {self.node(ref) for ref in (*self.change.outward.values(), *self.change.handed.values())}
        for node in self.followed.overwriting:
            for source in node.all_input_nodes if node in self.graph.nodes else ():
                if source in needed:
                    with self.graph.inserting_before(node):
                        kept = self.graph.call_method("clone", (source,))
                    node.replace_input_with(source, kept)

    def insert(self, step: FlatStep) -> None:
        inputs = [self.node(one) for one in step.inputs]
        content = step.node.content
        if isinstance(content, Operation) and isinstance(content.entry, ParameterEntry):
            with self.graph.inserting_after(self.last_placeholder()):
                self.made[step.name] = self.graph.get_attr(step.name)
            return
        order = {node: number for number, node in enumerate(self.graph.nodes)}
        after = max((*inputs, self.last_placeholder()), key=order.__getitem__)
        with self.graph.inserting_after(after):
            if isinstance(content, Operation) and isinstance(content.entry, FunctionEntry):
                self.functions.append(step)
                target = _target(len(self.functions) - 1)
                made = self.graph.create_node("call_function", target, tuple(inputs), name=step.name.replace(".", "_"))
            else:
                made = self.graph.call_module(step.name, tuple(inputs))
        self.made[step.name] = made

    def last_placeholder(self) -> fx.Node:
        nodes = [node for node in self.graph.nodes if node.op == "placeholder"]
        if not nodes:
            raise Closed("it takes no input")
        return nodes[-1]

    def node(self, ref: Ref) -> fx.Node:
        """The step of the graph that gives a tensor."""
        if ref in self.crossing:
            return self.crossing[ref]
        return self.made[ref.name] if ref.name in self.made and not ref.is_input else self.old(ref)

    def old(self, ref: Ref) -> fx.Node:
        if ref.is_input:
            return self.argument(ref)
        name = self.followed.name_of(self.change.before.steps[ref.name])
        # The only output of a module has a name too, which no reference spells.
        found = next(
            (one for (own, key), one in self.followed.values.items() if own == name and ref.key in ("", key)), None
        )
        if found is None:
            raise Closed(f"nothing in its forward holds what `{ref.name}` gives")
        return found

    def argument(self, ref: Ref) -> fx.Node:
        """The step of the graph for an argument, or a part of one."""
        where = self.change.before.scope.arguments.get(ref.name)
        tensor = self.followed.frame.inputs.get(ref.name)
        for node, value in self.followed.tensors.items():
            if value is tensor:
                return node
        if where is None:
            raise Closed(f"`{ref.name}` is no argument of its forward")
        node = next(one for one in self.graph.nodes if one.op == "placeholder" and one.target == where[0])
        for key in where[1:]:
            with self.graph.inserting_after(max((node, self.last_placeholder()), key=list(self.graph.nodes).index)):
                node = self.graph.call_function(operator.getitem, (node, key))
        return node

    def redirect(self, was: Ref, users: list[tuple[str | tuple[str, int], Ref]]) -> None:
        """Let some users of a tensor take others instead."""
        old, new = self.old(was), {self.node(now) for _, now in users}
        mine = set(self.made.values())
        if len(new) == 1 and len(users) == self.num_users(was):
            (one,) = new
            old.replace_all_uses_with(one, delete_user_cb=lambda user: user not in mine, propagate_meta=False)
            return
        same = {node for node, value in self.followed.tensors.items() if value is self.followed.tensors[old]}
        for user, now in users:
            if isinstance(user, str):
                if list(self.change.before.outputs.values()).count(was) > 1:
                    raise Closed(f"it returns `{was.name}` more than once")
                self.exchange(self.output(), same, self.node(now), user)
                continue
            name, _ = user
            step = self.change.before.steps[name]
            if step.inputs.count(was) > 1:
                raise Closed(f"`{name}` takes `{was.name}` twice")
            self.exchange(self.followed.calls[self.followed.name_of(step)], same, self.node(now), name)

    def exchange(self, user: fx.Node, old: set[fx.Node], new: fx.Node, name: str) -> None:
        if not old.intersection(user.all_input_nodes):
            raise Closed(f"what `{name}` takes is not made in its forward")
        user.args = fx.node.map_arg(user.args, lambda one: new if one in old else one)
        user.kwargs = fx.node.map_arg(user.kwargs, lambda one: new if one in old else one)

    def output(self) -> fx.Node:
        return next(node for node in reversed(self.graph.nodes) if node.op == "output")

    def num_users(self, ref: Ref) -> int:
        """How many inputs of recorded steps, and outputs, were this tensor."""
        before = self.change.before
        taken = sum(step.inputs.count(ref) for name, step in before.steps.items() if name not in self.change.gone)
        return taken + sum(one == ref for one in before.outputs.values())

    def erase(self, step: FlatStep) -> None:
        """Take a step out, with what only reads its value."""
        node = self.followed.calls[self.followed.name_of(step)]
        for user in list(node.users):
            if not user.users:
                self.graph.erase_node(user)
        if node.users:
            raise Closed(f"its forward uses `{step.name}` in more than one way")
        self.graph.erase_node(node)
