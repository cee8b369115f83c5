"""The problems of what a spec sets of a model: its arguments, vars and inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from composer.amounts import plural
from composer.errors import Diagnostic, did_you_mean, one_of
from composer.sources.library import CHANNELS, Keywords, image_shape, library_of
from composer.sources.refused import is_refused, refusal, refusals
from composer.spec.model import InputSpec
from composer.spec.model_source import CLASSES, PYTHON, ModelSource
from composer.spec.origin import Origin


def var_problem(name: str, origin: Origin, source: ModelSource) -> Diagnostic | None:
    """The problem with a var that a spec sets at `origin` and that nothing reads: the model's factory may take it."""
    library = library_of(source)
    if source.library != PYTHON and is_refused(name):
        return refusal(name, origin)
    known = library.takes_vars(source)
    if name in known.names or known.more:
        return None
    names = [*([CLASSES] if library.num_classes(source) is not None else []), *_offered(known)]
    hint = did_you_mean(name, names, f"it takes {one_of(names)}")
    text = f"{source.words} has no `{name}`"
    return origin.problem("unknown-var", text, "an argument of the model, or a var that the spec reads", hint, key=True)


def arguments_of(source: ModelSource) -> list[str]:
    """The arguments that a spec may give to a model."""
    return _offered(library_of(source).takes(source))


def problems(source: ModelSource, vars: Mapping[str, Origin]) -> Iterator[Diagnostic]:
    """The problems of a model's arguments. `vars` says where each var is set."""
    library = library_of(source)
    args = source.origin / "args"
    if source.library != PYTHON:
        yield from refusals(dict(source.args), args)
        yield from refusals(dict(source.config), source.origin / "transformers")
    known = library.takes(source) if source.args else Keywords(())
    for name in source.args:
        if name in known.names or known.more or (source.library != PYTHON and is_refused(name)):
            continue
        hint = did_you_mean(name, _offered(known), f"it takes {one_of(_offered(known))}")
        text = f"{source.words} takes no argument `{name}`"
        yield (args / name).problem("unknown-arg", text, "not an argument", hint, key=True)
    for name in source.vars:
        own = library.CLASSES if name == CLASSES else name
        if own in source.args or own in source.config:
            text = f"`{own}` is set by the var `{name}` too"
            yield source.origin_of(own).problem("both", text, "keep one of the two")
    yield from library.more_problems(source)


def shape_problems(
    source: ModelSource, inputs: Mapping[str, InputSpec], origins: Mapping[str, Origin]
) -> Iterator[Diagnostic]:
    """The problems of the inputs that a spec gives a model; `origins` says where each is written."""
    own = source.own_inputs
    if len(source.shapes) != len(origins):
        return
    if len(origins) != len(own):
        here = next(iter(origins.values()))
        text = f"{source.words} takes {plural(len(own), 'input')} ({', '.join(own)}), found {len(origins)}"
        yield here.problem("input", text, "an input of each name" if len(own) > 1 else "one input")
        return
    library = library_of(source)
    for (name, shape), theirs in zip(source.shapes.items(), own.values(), strict=True):
        given = inputs[name].layout
        if len(shape) != len(theirs.shape) or ("layout" in inputs[name].model_fields_set and given != theirs.layout):
            found = plural(len(shape), "number") if len(shape) != len(theirs.shape) else f"`{given}`"
            text = f"{source.words} takes `{theirs.layout}`, and this is {found}"
            yield origins[name].problem("input", text, f"such as `{list(theirs.shape)}`")
            return
    changed = image_shape(source)
    if changed is None:
        return
    shape, before = changed
    if text := library.misfit(source):
        yield next(iter(origins.values())).problem("input", text, f"such as `{list(before)}`")
    sized = library.sized(source)
    for name in sized:
        if name in source.args or name in source.config:
            text = f"`{name}` is set by `input` too, as {sized[name]}"
            yield source.origin_of(name).problem("both", text, "keep one of the two")
    if shape[0] != before[0] and not sized.keys() & {*CHANNELS}:
        text = f"{source.words} takes images of {plural(before[0], 'channel')}, and none of its arguments changes that"
        yield next(iter(origins.values())).problem("input", text, f"such as `{[before[0], *shape[1:]]}`")


def _offered(known: Keywords) -> list[str]:
    return [name for name in known.names if not is_refused(name)]
