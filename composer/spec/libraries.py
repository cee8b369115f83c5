"""A chain of files that begins with a model of another library: asks the library about it, and settles what is set.

Only `composer.sources` knows the libraries. It is imported when a spec first names one, since it imports torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from composer.errors import Diagnostic, Mistakes, SpecError
from composer.spec import unasked
from composer.spec.document import Document
from composer.spec.model import InputSpec, SourceSpec
from composer.spec.model_source import CLASSES, ModelSource
from composer.spec.origin import Origin, evaluate
from composer.spec.reads import names_read
from composer.spec.references import LoadedFile
from composer.spec.settings import Setting, is_var
from composer.spec.spec import Spec
from composer.spec.structure import validate


@dataclass(frozen=True)
class Begun:
    """Files whose last one says what its library knows of the model, with that model; problems of vars.

    library  what answers for the library: `composer.sources`, or `composer.spec.unasked`
    """

    files: tuple[LoadedFile, ...]
    source: ModelSource
    library: Any
    problems: tuple[Diagnostic, ...] = ()


def begin(
    files: Sequence[LoadedFile], settings: Iterable[Setting], *, allow_code: bool, ask: bool = True
) -> Begun | None:
    """The files with the vars of the model that they begin with; None if they begin with nodes.

    A var that a file sets and that no expression reads goes to the model's factory. Without `ask`, no library is
    imported, and any model and any var of it will do. Raises SpecError for a model that its library does not have or
    that a spec may not name, UnavailableError if the library is not installed.
    """
    written = files[-1].content.backbone
    if not isinstance(written, SourceSpec):
        return None
    # The last file stands for the model, so the one before it names it.
    origin = files[-2 if len(files) > 1 else -1].origin / "backbone"
    source = ModelSource.of(written, origin)
    library = _asked() if ask else unasked
    library.check_name(source, allow_code=allow_code)
    classes = library.num_classes(source)
    vars: dict[str, Any] = {} if classes is None else {CLASSES: classes}
    wanted = {name: place for name, place in _set_vars(files[:-1], settings) if name not in vars}
    found = (library.var_problem(name, place, source) for name, place in wanted.items())
    problems = tuple(problem for problem in found if problem is not None)
    vars |= {name: {"default": None} for name in wanted}
    return Begun((*files[:-1], _described(files[-1], vars)), source, library, problems)


def settle_source(begun: Begun, vars: Mapping[str, Any], origins: Mapping[str, Origin]) -> Begun:
    """The files with the inputs that the model has by itself, and the model with its arguments evaluated.

    vars     the vars of the spec, and `origins` where each is set
    Raises SpecError.
    """
    last, source = begun.files[-1], begun.source
    try:
        args = evaluate(source.args, vars, source.origin / "args")
        config = evaluate(source.config, vars, source.origin / "transformers")
    except Mistakes as error:
        raise SpecError(error.diagnostics) from error
    given = {name: vars[name] for name in last.content.vars if origins[name].document is not last.origin.document}
    source = replace(source, args=args, config=config, vars={key: one for key, one in given.items() if one is not None})
    if found := list(begun.library.problems(source, origins)):
        raise SpecError([*begun.problems, *found])
    source = replace(source, own_inputs=begun.library.own_inputs(source))
    files = (*begun.files[:-1], _described(last, last.content.vars, source.own_inputs))
    return Begun(files, source, begun.library)


def with_shapes(
    source: ModelSource,
    inputs: Mapping[str, InputSpec],
    origins: Mapping[str, Origin],
    vars: Mapping[str, Any],
    library: Any,
) -> ModelSource:
    """The model with the shapes of its inputs. Raises SpecError if it cannot have them."""
    try:
        shapes = {name: evaluate(one.shape, vars, origins[name]) for name, one in inputs.items()}
    except Mistakes as error:
        raise SpecError(error.diagnostics) from error
    # A shape that is none has its own problem when the network is composed.
    whole = {name: tuple(one) for name, one in shapes.items() if all(type(side) is int and side > 0 for side in one)}
    source = replace(source, shapes=whole)
    SpecError.check(library.shape_problems(source, inputs, origins))
    return source


def with_inputs(spec: Spec, inputs: Mapping[str, InputSpec]) -> Spec:
    """The network with other inputs. Raises SpecError if it begins with a model that cannot have them."""
    spec = replace(spec, inputs=inputs)
    if spec.source is None:
        return spec
    return replace(spec, source=with_shapes(spec.source, inputs, spec.input_origins, spec.vars, _asked()))


def _asked() -> Any:
    """What knows the libraries."""
    return importlib.import_module("composer.sources")


def _set_vars(files: Sequence[LoadedFile], settings: Iterable[Setting]) -> Iterator[tuple[str, Origin]]:
    """The vars that files and settings set and that no expression of the files reads, with where they are set."""
    read = {name for file in files for name in _read(file.origin)}
    for file in files:
        yield from ((name, file.origin / "vars" / name) for name in file.content.vars if name not in read)
    declared = {name for file in files for name in file.content.vars}
    for setting in filter(is_var, settings):
        name = setting.steps[1]
        if name not in read and name not in declared:
            document = Document.from_mapping({"vars": {}})
            root = document.root.with_value(("vars", name), setting.value)
            yield name, Origin(replace(document, root=root), ("vars", name))


def _read(file: Origin) -> set[str]:
    """The names that a file reads. The arguments of a model inside another network read the vars of that network."""
    if not file.path:
        return names_read(file)
    rules = (file / "attention").written
    return (
        names_read(Origin(Document(file.document.source, file.document.nearest(rules.path))))
        if rules != file
        else set()
    )


def _described(file: LoadedFile, vars: Mapping[str, Any], inputs: Mapping[str, InputSpec] | None = None) -> LoadedFile:
    """The file of a model with these vars and inputs."""
    written = file.content.backbone
    assert isinstance(written, SourceSpec)
    shown: dict[str, Any] = {"name": file.content.name, "backbone": written.to_mapping()}
    shown |= {"vars": dict(vars)} if vars else {}
    if inputs:
        shown["inputs"] = {name: one.model_dump(exclude_unset=True) for name, one in inputs.items()}
    document = Document.from_mapping(shown, file.origin.document.source.name)
    return replace(file, content=validate(document), origin=Origin(document))
