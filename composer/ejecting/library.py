"""The classes and functions that are copied into a file: what the network needs of them, and no more."""

from __future__ import annotations

import ast
import builtins
import copy
import re
import sys
import types
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from composer.ejecting.classes import fold_class, reached
from composer.ejecting.clean import clean_class, shorten
from composer.ejecting.fold import Folder, Unfoldable, value_of
from composer.ejecting.inherit import flattened
from composer.ejecting.inline import inlined
from composer.ejecting.items import Item, Key, file_of, home_of, key_of, rename, users_first
from composer.ejecting.parameters import arguments_of, constants_of, drop_unread, narrow, without
from composer.ejecting.parts import initialiser, is_docstring, method_of
from composer.ejecting.printing import code, printed
from composer.ejecting.sources import Unread, names_in, plain_types, read, target
from composer.ejecting.statements import folded
from composer.ejecting.tree import Call, signature_of

# Functions whose expression is not longer are written where they are called.
_SHORT = 64


@dataclass
class Library:
    """The definitions that a network needs, found once all its operations are known.

    usages     class of a module -> the arguments of each of its modules
    functions  functions that forwards call
    taken      names that the file uses otherwise
    """

    usages: dict[type, list[Mapping[str, Any]]] = field(default_factory=dict)
    functions: dict[Callable[..., Any], list[Mapping[str, Any]]] = field(default_factory=dict)
    whole: set[Callable[..., Any]] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)
    items: dict[Key, Item] = field(default_factory=dict)
    names: dict[Key, str] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)
    written: set[Key] = field(default_factory=set)
    referred: set[Key] = field(default_factory=set)
    order: list[Key] = field(default_factory=list)

    def use(self, kind: type, arguments: Mapping[str, Any]) -> None:
        """Note a module of the network."""
        self.usages.setdefault(kind, []).append(arguments)

    def function(self, function: Callable[..., Any], options: Mapping[str, Any] | None) -> None:
        """Note a function that a forward calls with these options; None if it makes a layer and is copied as it is."""
        self.functions.setdefault(function, [])
        if options is None:
            self.whole.add(function)
        else:
            self.functions[function].append(options)

    def prepare(self) -> None:
        """Read, fold and name every definition."""
        roots: list[Callable[..., Any]] = [*self.usages, *self.functions]
        for one in roots:
            self._add(key_of(one))
        order = self._order()
        for item in self.items.values():
            for base in item.node.bases if isinstance(item.node, ast.ClassDef) else []:
                if (found := self._ours(item.node, item.module, ast.unparse(base))) is not None:
                    self.items[found].shared = True
        for kind, sites in self.usages.items():
            self.items[key_of(kind)].sites += sites
        for one in roots:
            self.items[key_of(one)].used = True
        for one, options in self.functions.items():
            self.items[key_of(one)].opaque = one in self.whole
            self.items[key_of(one)].sites += options
            self.items[key_of(one)].called = True
        for key in order:
            item = self.items[key]
            # A class that makes others of its kind makes them with other arguments.
            item.opaque = item.opaque or key[1] in names_in(item.node)
            if item.used:
                self._fold(item)
                self._note_calls(item)
        for key in order:
            if self.items[key].used:
                self._check(self.items[key])
                self._trim(self.items[key])
        for key in reversed(order):
            if self.items[key].used:
                self._name(self.items[key])
        self.order = [key for key in reversed(order) if self.items[key].used]

    def call(self, kind: type, arguments: Mapping[str, Any]) -> Call:
        """The call that makes a module of a copied class."""
        item = self.items[key_of(kind)]
        parameters = initialiser(item.node)
        if parameters is None:
            return Call(item.name, {})
        _, defaults, _ = signature_of(kind)
        left = [*parameters.args[1:], *parameters.kwonlyargs]
        plain = len(item.before.args) - 1 if item.before is not None else 0
        given = {one.arg: arguments[one.arg] for one in left if one.arg in arguments}
        return Call(item.name, given, {name: _plain(value) for name, value in defaults.items()}, plain)

    def parameters_of(self, function: Callable[..., Any]) -> set[str]:
        """The parameters of a copied function that are still there."""
        found = initialiser(self.items[key_of(function)].node)
        return {one.arg for one in (*found.args, *found.kwonlyargs)} if found is not None else set()

    def name_of(self, function: Callable[..., Any]) -> str:
        """The name of a copied function."""
        return self.items[key_of(function)].name

    def text(self) -> list[str]:
        """The definitions, each as its lines joined, what is used before what uses it."""
        found = []
        for key in self.order:
            item = self.items[key]
            if key in self.written:
                continue
            rename(item.node, self._renamed(item))
            self._import(item)
            if hasattr(item.node, "was") and item.is_class:
                del item.node.was
            found.append("\n".join(printed(item.node)))
        return found

    def _add(self, key: Key) -> None:
        if key in self.items:
            return
        module = sys.modules[key[0]]
        written = read(module).definitions.get(key[1])
        if written is None:
            raise Unread(f"`{key[1]}` is not defined at the outer level of {file_of(module)}")
        node = copy.deepcopy(written)
        if isinstance(node, ast.ClassDef):
            node = flattened(node, module)
            clean_class(node)
        elif isinstance(node, ast.FunctionDef):
            node.decorator_list = []
            shorten(node)
        node = plain_types(node, module)  # type: ignore[assignment]
        self.items[key] = Item(key, node, module)
        for name in dict.fromkeys(names_in(node)):
            found = self._ours(node, module, name)
            if found is not None:
                self._add(found)

    def _ours(self, node: ast.AST, module: types.ModuleType, name: str) -> Key | None:
        """The definition of ours that a name stands for in a node; None if it is none."""
        where = home_of(node, name, module)
        found = target(where, name)
        if isinstance(found, tuple):
            return found[0].__name__, found[1]
        return None

    def _order(self) -> list[Key]:
        graph: nx.DiGraph[Key] = nx.DiGraph()
        graph.add_nodes_from(self.items)
        for key, item in self.items.items():
            for name in dict.fromkeys(names_in(item.node)):
                found = self._ours(item.node, item.module, name)
                if found is not None and found != key:
                    graph.add_edge(key, found)
        return users_first(graph, [*self.items])

    def _fold(self, item: Item) -> None:
        node = item.node
        parameters = initialiser(node)
        item.before = copy.deepcopy(parameters)
        if parameters is None or item.opaque:
            constants: dict[str, Any] = {}
            given: set[str] = set()
        else:
            constants, given = constants_of(item.sites, parameters)
        while True:
            tried = copy.deepcopy(node)
            if not item.opaque:
                narrow(initialiser(tried), given)
            try:
                self._fold_with(tried, dict(constants), set(given), item)
            except Unfoldable:
                if not constants:
                    return
                constants.popitem()
                continue
            item.node = tried
            return

    def _fold_with(self, node: ast.stmt, constants: dict[str, Any], given: set[str], item: Item) -> None:
        tables = lambda name, key: self._table(item, name, key)  # noqa: E731
        if isinstance(node, ast.FunctionDef):
            dropped = [*constants]
            folder = Folder(constants, {}, given, tables)
            self._take_over(node, item)
            node.body = folded(node.body, folder, checks=_is_runtime(node) and not item.called)
            without(node.args, dropped)
            if not item.opaque:
                drop_unread(node)
        elif isinstance(node, ast.ClassDef):
            if item.shared or any(self._is_ours(item, one) for one in node.bases):
                return
            kept = self._read_elsewhere(item)
            fold_class(node, constants, given, tables, kept)
            for _ in range(2):
                inlined(node, lambda name: self._helper(item, name))
                fold_class(node, {}, given, tables, kept)
            drop_unread(method_of(node, "__init__"))

    def _take_over(self, node: ast.FunctionDef, item: Item) -> None:
        """The body of the function that another one only calls with what it is given itself."""
        *_, last = node.body
        call = last.value if isinstance(last, ast.Return) else None
        plain = [one for one in node.body if not is_docstring(one)]
        if len(plain) != 1 or not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.keywords:
            return
        found = self._ours(node, item.module, call.func.id)
        other = self.items[found].node if found in self.items and found is not None else None
        if isinstance(other, ast.FunctionDef) and found is not None and found[0] == item.key[0]:
            names = [one.arg for one in other.args.args]
            if [ast.unparse(one) for one in call.args] == names and not other.args.kwonlyargs:
                node.body[-1:] = [copy.deepcopy(one) for one in other.body if not is_docstring(one)]

    def expression_of(self, function: Callable[..., Any], marks: Sequence[str]) -> str | None:
        """The expression that a copied function returns, with marks for its tensors; None unless it is short."""
        item = self.items[key_of(function)]
        node = item.node
        if not isinstance(node, ast.FunctionDef) or item.opaque or node.args.vararg or item.key in self.referred:
            return None
        plain = [one for one in node.body if not is_docstring(one)]
        if len(plain) != 1 or not isinstance(plain[0], ast.Return) or plain[0].value is None:
            return None
        names = [one.arg for one in (*node.args.args, *node.args.kwonlyargs)]
        reads = Counter(one.id for one in ast.walk(plain[0]) if isinstance(one, ast.Name))
        text = code(plain[0].value)
        if len(names) != len(marks) or any(reads[name] != 1 for name in names) or len(text) > _SHORT:
            return None
        if any(self._ours(node, item.module, name) is not None for name in reads if name not in names):
            return None
        for name, mark in zip(names, marks, strict=True):
            text = re.sub(rf"(?<![\w.]){name}(?!\w|=[^=])", mark, text)
        self._import(item)
        self.written.add(item.key)
        return text

    def _is_ours(self, item: Item, base: ast.expr) -> bool:
        return self._ours(item.node, item.module, ast.unparse(base)) is not None

    def _read_elsewhere(self, item: Item) -> set[str]:
        """Names of attributes that are read of other objects than `self`; `self.name` for those of its layers."""
        nodes = [other.node for other in self.items.values() if other.used]
        reads = [one for one in reached(nodes) if not (isinstance(one.value, ast.Name) and one.value.id == "self")]
        of_layers = {f"self.{one.attr}" for one in reads if ast.unparse(one.value).startswith("self.")}
        return {one.attr for one in reads} | of_layers

    def _table(self, item: Item, name: str, key: Any) -> ast.expr | None:
        found = self._ours(item.node, item.module, name)
        if found is None:
            return None
        statement = self.items[found].node if found in self.items else None
        value = getattr(statement, "value", None)
        if isinstance(value, ast.Dict):
            for one, made in zip(value.keys, value.values, strict=True):
                if one is not None and value_of(one) == key:
                    return made
        return None

    def _helper(self, item: Item, name: str) -> ast.FunctionDef | None:
        """The helper function of ours with this name, as it is written; None if there is none."""
        found = self._ours(item.node, item.module, name)
        node = self.items[found].node if found in self.items else None
        if not isinstance(node, ast.FunctionDef) or found is None:
            return None
        home = sys.modules[found[0]]
        homes = item.node.__dict__.setdefault("homes", {})
        node = copy.deepcopy(node)
        if not _is_runtime(node):
            node.body = folded(node.body, Folder(), checks=False)
        for one in names_in(node):
            if target(home, one) is not None:
                if homes.get(one, home.__name__) != home.__name__:
                    return None
                if target(item.module, one) not in (None, target(home, one)):
                    return None
                homes.setdefault(one, home.__name__)
        return node

    def _note_calls(self, item: Item) -> None:
        called: set[int] = set()
        for one in ast.walk(item.node):
            if isinstance(one, ast.Call) and isinstance(one.func, ast.Name):
                found = self._ours(item.node, item.module, one.func.id)
                if found is None or found == item.key:
                    continue
                self.referred.add(found)
                called.add(id(one.func))
                other = self.items[found]
                other.used = True
                parameters = initialiser(other.node)
                given = None if parameters is None else arguments_of(one, parameters)
                if given is None:
                    other.opaque = True
                else:
                    other.sites.append(given)
        for one in ast.walk(item.node):
            if isinstance(one, ast.Name) and id(one) not in called:
                found = self._ours(item.node, item.module, one.id)
                if found is not None and found != item.key:
                    self.items[found].used = True
                    self.items[found].opaque = True

    def _check(self, item: Item) -> None:
        """Raises Unread if a name is made in a way that cannot be copied, as in a condition at the outer level."""
        inside = {one.arg for one in ast.walk(item.node) if isinstance(one, ast.arg)}
        inside |= {
            one.id for one in ast.walk(item.node) if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)
        }
        for name in set(names_in(item.node)) - inside - set(dir(builtins)) - {item.key[1]}:
            home = home_of(item.node, name, item.module)
            found = target(home, name)
            if found is None and hasattr(home, name):
                raise Unread(f"`{item.key[1]}` needs `{name}`, which {file_of(home)} does not simply define or import")

    def _trim(self, item: Item) -> None:
        """Leave out arguments that a copied class or function does not take any more."""
        for one in ast.walk(item.node):
            if isinstance(one, ast.Call) and isinstance(one.func, ast.Name):
                found = self._ours(item.node, item.module, one.func.id)
                other = self.items.get(found) if found is not None else None
                if other is None or other.before is None or (now := initialiser(other.node)) is None:
                    continue
                left = {each.arg for each in (*now.args, *now.kwonlyargs)}
                names = [each.arg for each in other.before.args if each.arg != "self"]
                one.args = [
                    value
                    for index, value in enumerate(one.args)
                    if index >= len(names) or names[index] in left or isinstance(value, ast.Starred)
                ]
                one.keywords = [each for each in one.keywords if each.arg is None or each.arg in left]

    def _name(self, item: Item) -> None:
        wanted = item.key[1]
        if wanted in self.taken:
            wanted = f"{wanted}_of_{item.key[0].rpartition('.')[2]}" if not item.is_class else f"{wanted}2"
        while wanted in self.taken:
            wanted += "_"
        self.taken.add(wanted)
        item.name = self.names[item.key] = wanted

    def _renamed(self, item: Item) -> dict[str, str]:
        found = {}
        for name in set(names_in(item.node)) | {item.key[1]}:
            key = self._ours(item.node, item.module, name)
            if key is not None and self.items[key].name not in ("", name):
                found[name] = self.items[key].name
        return found

    def _import(self, item: Item) -> None:
        for name in names_in(item.node):
            home = home_of(item.node, name, item.module)
            found = target(home, name)
            if isinstance(found, str):
                self.imports.add(found)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _is_runtime(node: ast.FunctionDef) -> bool:
    """Whether a function works on tensors: what it checks, it checks at each call."""
    return any("Tensor" in code(one.annotation) for one in node.args.args if one.annotation is not None)
