"""Names that specs may use, and the plugins they come from. The only room with state that changes."""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

from composer.errors import Diagnostic, Location, PluginError, Source, one_of, suggest
from composer.options import SignatureProblem, options_model, read_signature

MECHANISM_KINDS = ("channel", "spatial", "channel+spatial", "branch", "kernel", "token")
LAYER_KINDS = ("conv", "linear", "norm", "activation", "pool", "merge", "shape", "token", "parameter", "other")

# What a place knows. A replaced convolution adds its own settings to what every tensor has.
TENSOR_FACTS = ("channels", "height", "width", "tokens")
CONV_FACTS = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias")
FACTS = TENSOR_FACTS + CONV_FACTS

ENTRY_POINTS = "composer.plugins"
POSITIONS = ("before", "after", "replace", "beside")
RESERVED_OPTIONS = frozenset({"op", "block", "from", "when", "site", "repeat", "as", "inline", "args"})

Target = TypeVar("Target", bound=Callable[..., Any])
LayoutRule = str | Callable[..., str | None] | None
# Keys of a rule that say where, such as {"after": "stage", "where": "not last"}.
PlaceRule = Mapping[str, str]
Form = Literal["module", "function", "parameter"]


@dataclass(frozen=True)
class Plugin:
    """Where entries come from: composer itself, an installed package, or a file."""

    name: str
    version: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Entry:
    """One name of the registry.

    form      `module` (an nn.Module class), `function` (of tensors) or `parameter` (a function that makes one)
    facts     parameters before `*` of a module: filled in from the place; name -> default or inspect.Parameter.empty
    settings  model of those facts that only a convolution knows: elsewhere a spec writes them like options
    options   model of the parameters after `*`: what a spec may set
    inputs    fewest and most tensors it takes; most is None for any number
    layout    mechanisms: the layout they work in; layers: see `layer`
    replaces  mechanisms that stand in for a convolution: `conv`, or `conv-norm-act` when they carry norm and activation
    places    mechanisms: where they go by default, the first that a network has; none where their kind says enough
    """

    name: str
    category: Literal["mechanism", "layer"]
    kind: str
    form: Form
    factory: Callable[..., Any]
    facts: Mapping[str, Any]
    settings: type[BaseModel]
    options: type[BaseModel]
    inputs: tuple[int, int | None]
    layout: LayoutRule
    replaces: str | None
    places: Sequence[PlaceRule]
    plugin: Plugin
    file: str
    line: int

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return next(iter(self.doc.splitlines()), "")

    @property
    def doc(self) -> str:
        """The docstring, unindented."""
        # A class without one would inherit nn.Module's three pages.
        own = self.factory.__dict__.get("__doc__") if isinstance(self.factory, type) else self.factory.__doc__
        return inspect.cleandoc(own or "")

    def __repr__(self) -> str:
        return f"<{self.category} {self.name}: {self.kind}>"


@dataclass
class _State:
    entries: dict[str, Entry] = field(default_factory=dict)
    failures: list[Diagnostic] = field(default_factory=list)
    plugins: dict[str, Plugin] = field(default_factory=dict)
    discovered: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)


_state = _State()
_loading: contextvars.ContextVar[Plugin | None] = contextvars.ContextVar("loading", default=None)


def mechanism(
    name: str,
    *,
    kind: str,
    layout: str | None = None,
    replaces: Literal["conv", "conv-norm-act"] | None = None,
    place: PlaceRule | Sequence[PlaceRule] = (),
) -> Callable[[Target], Target]:
    """Register an nn.Module class as an attention mechanism.

    Parameters of `__init__` before `*` are facts of the place (`FACTS`); those after it are options of the spec,
    checked against their type hints. `layout` is `b c h w` unless the kind is `token` (`b n c`).
    `replaces` says that it can stand in for a convolution, alone or with the norm and activation behind it.
    `place` is where it goes when nobody says where, in the words of a rule, or several of which a network has the
    first; without it the kind decides (`composer.dag.default_place`).
    Raises PluginError, naming file and line, for anything the contract does not allow.
    """
    layout = layout or ("b n c" if kind == "token" else "b c h w")
    places: tuple[PlaceRule, ...] = (place,) if isinstance(place, Mapping) else tuple(place)

    def register(factory: Target) -> Target:
        where = _definition(factory)
        if kind not in MECHANISM_KINDS:
            raise _misuse(where, name, f"unknown kind `{kind}`", one_of(MECHANISM_KINDS))
        if replaces not in (None, "conv", "conv-norm-act"):
            raise _misuse(where, name, f"unknown replaces `{replaces}`", "`conv` or `conv-norm-act`")
        if not isinstance(factory, type):
            raise _misuse(where, name, "a mechanism must be an nn.Module class", "a class, as in examples/")
        for one in places:
            _check_place(name, one, where)
        _add(name, "mechanism", kind, factory, layout, where, replaces, places)
        return factory

    return register


def layer(name: str, *, kind: str = "other", layout: LayoutRule = None) -> Callable[[Target], Target]:
    """Register a building block: an nn.Module class, a function of tensors, or a function that makes a parameter.

    Of a class, parameters before `*` are facts and those after it options; of a function, parameters before `*` are
    the tensors it takes. `layout` is what happens to the einops layout of the first input: None keeps it,
    `"b c h w -> b c"` asks for one and gives another, and a function `(inputs, **options) -> layout` may look at the
    inputs (each with `.shape`, `.layout`, `.channels` …) and raise ValueError for what does not fit.
    Raises PluginError, naming file and line, for anything the contract does not allow.
    """

    def register(factory: Target) -> Target:
        where = _definition(factory)
        if kind not in LAYER_KINDS:
            raise _misuse(where, name, f"unknown kind `{kind}`", one_of(LAYER_KINDS))
        _add(name, "layer", kind, factory, layout, where)
        return factory

    return register


def _add(
    name: str,
    category: Literal["mechanism", "layer"],
    kind: str,
    factory: Callable[..., Any],
    layout: LayoutRule,
    where: Location,
    replaces: str | None = None,
    places: Sequence[PlaceRule] = (),
) -> None:
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise _misuse(where, str(name), "a name is lower-case letters, digits and `_`", "a name such as `pixel_gate`")
    form: Form = "module" if isinstance(factory, type) else "parameter" if kind == "parameter" else "function"
    try:
        signature = read_signature(factory, name)
        inputs = _arity(factory, signature.given, signature.variadic, form)
    except (SignatureProblem, TypeError, ValueError) as problem:
        raise _misuse(where, name, str(problem), "see `Writing a plugin` in the README") from problem
    facts = signature.given if form == "module" else {}
    if form == "module" and signature.variadic:
        raise _misuse(where, name, "`*args` in `__init__`", "facts by name before a bare `*`")
    for fact in facts:
        if fact not in FACTS:
            nearest = f"; did you mean `{suggest(fact, FACTS)}`?" if suggest(fact, FACTS) else ""
            text = f"`{fact}` stands before `*` but is not a fact of a place{nearest}"
            raise _misuse(where, name, text, f"one of {one_of(FACTS)}, or move it behind `*` to make it an option")
    for option in signature.options.model_fields:
        if option in RESERVED_OPTIONS:
            raise _misuse(where, name, f"option `{option}` is a word of the spec language", "another name")
    settings = {
        fact: (signature.hints[fact], ... if default is inspect.Parameter.empty else default)
        for fact, default in facts.items()
        if fact in CONV_FACTS and fact != "in_channels"
    }
    plugin = _loading.get() or _plugin_of(factory)
    entry = Entry(
        name=name,
        category=category,
        kind=kind,
        form=form,
        factory=factory,
        facts=facts,
        settings=options_model(f"{name} settings", settings),
        options=signature.options,
        inputs=inputs,
        layout=layout,
        replaces=replaces,
        places=places,
        plugin=plugin,
        file=where.source.name,
        line=where.line,
    )
    with _state.lock:
        taken = _state.entries.get(name)
        # The same definition again is a reload (a notebook cell run twice), not a second claim to the name.
        if taken is not None and _identity(taken.factory) != _identity(factory):
            raise _misuse(where, name, f"the name is taken by {taken.file}:{taken.line}", "another name")
        _state.entries[name] = entry
        _state.plugins.setdefault(plugin.name, plugin)


def _check_place(name: str, place: PlaceRule, where: Location) -> None:
    words = [*POSITIONS, "where"]
    if unknown := [word for word in place if word not in words]:
        raise _misuse(where, name, f"`{unknown[0]}` in its place", one_of(words))
    if sum(word in place for word in POSITIONS) != 1:
        raise _misuse(where, name, f"its place {dict(place)} has not one position", f"one of {one_of(POSITIONS)}")
    if not all(isinstance(text, str) for text in place.values()):
        raise _misuse(where, name, f"its place {dict(place)} holds more than text", "`{'after': 'stage'}`")


def _arity(factory: Callable[..., Any], given: Mapping[str, Any], variadic: bool, form: Form) -> tuple[int, int | None]:
    if form == "parameter":
        return 0, 0
    if form == "module":
        forward = getattr(factory, "forward", None)
        if forward is None:
            raise SignatureProblem("the class has no `forward`; is it an nn.Module?")
        parameters = list(inspect.signature(forward).parameters.values())[1:]
        variadic = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        given = {parameter.name: parameter.default for parameter in parameters if parameter.kind in positional}
    required = sum(default is inspect.Parameter.empty for default in given.values())
    return required, None if variadic else len(given)


def _definition(factory: Callable[..., Any]) -> Location:
    """Where a class or function is written."""
    target = inspect.unwrap(factory)
    try:
        # Reading sources goes through a cache that is not safe for threads.
        with _state.lock:
            file = inspect.getsourcefile(target) or "<unknown>"
            line = inspect.getsourcelines(target)[1]
    except (OSError, TypeError):
        code = getattr(getattr(target, "__init__", target), "__code__", None)
        file, line = (code.co_filename, code.co_firstlineno) if code else ("<unknown>", 1)
    return Location(Source(file), line, 1, 2)


def _misuse(where: Location, name: str, problem: str, expected: str) -> PluginError:
    return PluginError(Diagnostic("plugin", f"cannot register `{name}`: {problem}", where, label=expected))


def _identity(factory: Callable[..., Any]) -> tuple[str, str]:
    return factory.__module__, factory.__qualname__


def _plugin_of(factory: Callable[..., Any]) -> Plugin:
    package = factory.__module__.partition(".")[0]
    if package == "composer":
        return Plugin("composer")
    return _state.plugins.get(package, Plugin(package))


def load_plugins() -> None:
    """Import composer's own entries and every installed plugin, once. A plugin that fails is kept in `failures()`."""
    with _state.lock:
        if _state.discovered:
            return
        # Set first: a plugin may itself ask the registry while it is being imported.
        _state.discovered = True
        for package in ("composer.layers", "composer.mechanisms"):
            importlib.import_module(package)
        for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
            distribution = point.dist
            plugin = Plugin(point.name, distribution.version if distribution else "")
            try:
                with _from_plugin(plugin):
                    point.load()
            except Exception as error:
                _state.failures.append(_failure(f"plugin `{point.name}` ({point.value})", error))


def load_plugin_file(path: str | Path) -> None:
    """Import one plugin file. Raises PluginError, naming the file, when it cannot be read or fails."""
    file = Path(path).resolve()
    if not file.is_file():
        raise PluginError(Diagnostic("plugin", f"plugin file `{path}` does not exist", label="a Python file"))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    name = f"composer_plugin_{file.stem}_{digest[:12]}"
    if name in sys.modules:
        return
    load_plugins()
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PluginError(Diagnostic("plugin", f"plugin file `{path}` is not Python", label="a file ending in .py"))
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs: pickling and type hints look classes up by their module.
    sys.modules[name] = module
    before = dict(_state.entries)
    try:
        with _from_plugin(Plugin(str(path), sha256=digest)):
            spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        with _state.lock:
            _state.entries.clear()
            _state.entries.update(before)
        if isinstance(error, PluginError) or not isinstance(error, Exception):
            raise
        raise PluginError(_failure(f"plugin file `{path}`", error)) from error


@contextlib.contextmanager
def _from_plugin(plugin: Plugin) -> Iterator[None]:
    token = _loading.set(plugin)
    try:
        yield
    finally:
        _loading.reset(token)


def _failure(what: str, error: Exception) -> Diagnostic:
    if isinstance(error, PluginError):
        first = error.diagnostics[0]
        return replace(first, message=f"{what}: {first.message}")
    location = None
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<frozen"):
            location = Location(Source(file), trace.tb_lineno, 1, 2)
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.lineno:
        location = Location(Source(error.filename or what), error.lineno, error.offset or 1, (error.offset or 1) + 1)
    return Diagnostic("plugin", f"{what} failed to import: {type(error).__name__}: {error}", location)


def get(name: str) -> Entry | None:
    """The entry of a name, or None."""
    load_plugins()
    return _state.entries.get(name)


def entries(category: str | None = None, pattern: str = "*") -> Sequence[Entry]:
    """Every entry, sorted by name; of one category and with names like the pattern, if given."""
    load_plugins()
    found = sorted(_state.entries.values(), key=lambda entry: entry.name)
    return [entry for entry in found if category in (None, entry.category) and fnmatchcase(entry.name, pattern)]


def failures() -> Sequence[Diagnostic]:
    """What went wrong when installed plugins were imported."""
    load_plugins()
    return tuple(_state.failures)


def plugin_versions() -> Sequence[Plugin]:
    """Every plugin that registered something, composer itself apart."""
    return tuple(plugin for name, plugin in sorted(_state.plugins.items()) if name != "composer")
