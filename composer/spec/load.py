"""A source (path, zoo name, mapping) -> a Spec: files read, references followed, vars settled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from composer.errors import MAX_FOUND, Diagnostic, SpecError
from composer.spec.check import check_spec
from composer.spec.document import Document, Value
from composer.spec.form import check_model
from composer.spec.libraries import begin, settle_source, with_shapes
from composer.spec.model import SourceSpec, WeightsSpec
from composer.spec.origin import Origin
from composer.spec.outputs import settle_outputs
from composer.spec.parts import PartsFinder, with_vars
from composer.spec.references import (
    NO_WEIGHTS,
    FoundWeights,
    LoadedFile,
    find_weights,
    follow,
    home,
    open_source,
    read_classes,
)
from composer.spec.settings import Setting, apply_settings, is_var, read_settings
from composer.spec.settle import settle_inputs, settle_nodes, settle_vars
from composer.spec.sources import wrong_source
from composer.spec.spec import Part, Spec, down_to_writer
from composer.spec.structure import inspect, validate
from composer.visible import visible


def load_spec(
    source: str | Path | Mapping[str, Any] | Spec,
    *,
    vars: Mapping[str, Any] | None = None,
    sets: Iterable[str] = (),
    root: str | Path | None = None,
    weights: bool = True,
    allow_code: bool = False,
) -> Spec:
    """Read and check a spec, and return it. Needs torch only for a model of another library.

    source   a path, a name of the zoo (`resnet50`, `papers/cbam/resnet50`), a model of another library
             (`timm:resnet50`), a mapping, or a Spec
    vars     values for the spec's vars
    sets     `dotted.path=value` settings, applied to the source before it is checked; values are YAML
    root     the folder that references must not leave; by default the source's own folder
    weights  look for the weights that the source names, except for a Spec, which has found its own
    allow_code  let a `backbone: {python: …}` run its code
    Raises SpecError with every problem of the first stage that fails, UnavailableError if the library of a model is not
    installed.
    """
    spec, problems = examine(source, vars=vars, sets=sets, root=root, weights=weights, allow_code=allow_code)
    SpecError.check(problems)
    assert spec is not None, "what has no problems is a Spec"
    return spec


def examine(
    source: str | Path | Mapping[str, Any] | Spec,
    *,
    vars: Mapping[str, Any] | None = None,
    sets: Iterable[str] = (),
    root: str | Path | None = None,
    weights: bool = True,
    allow_code: bool = False,
    ask: bool = True,
) -> tuple[Spec | None, list[Diagnostic]]:
    """The Spec, as far as it is sound, or None if too little is; and every problem of its text.

    Arguments as for `load_spec`. Without `ask`, only what is written is looked at: weights are not looked for, no other
    library is asked for its model, and torch is not imported; the Spec is then good for nothing else. Raises SpecError
    if the source cannot be read at all.
    """
    settings = read_settings(vars or {}, sets)
    if isinstance(source, Spec):
        if not settings:
            return source, []
        if not all(map(is_var, settings)):
            raise SpecError(Diagnostic("set", "a Spec that is already loaded takes `vars`, not other settings"))
        return assemble(source.files, (*source.overrides, *settings), allow_code=source.allow_code), []
    document, path = open_source(source)
    document = apply_settings(document, settings)
    document = document if weights else _without_weights(document)
    return examine_document(document, path, settings, root, allow_code=allow_code, ask=ask)


def examine_document(
    document: Document,
    path: Path | None = None,
    settings: Sequence[Setting] = (),
    root: str | Path | None = None,
    *,
    allow_code: bool = False,
    ask: bool = True,
) -> tuple[Spec | None, list[Diagnostic]]:
    """As `examine`, of a document that is read already; `path` is where it was read from."""
    content, problems = inspect(document)
    if content is None or (not content.nodes and content.backbone is None):
        return None, problems
    if isinstance(content.backbone, SourceSpec) and any(check_model(content.backbone, Origin(document) / "backbone")):
        return None, problems
    file = LoadedFile(content, Origin(document), path, home(path, root))
    try:
        spec = _settled(follow(file), tuple(filter(is_var, settings)), problems, allow_code=allow_code, ask=ask)
    except SpecError as error:
        known = {problem.path for problem in problems}
        return None, [*problems, *(problem for problem in error.diagnostics if problem.path not in known)]
    return spec, list(spec.problems)


def check_source(source: object, also: str) -> None:
    """Raises SpecError for a value that makes no network. `also` names other values that the caller takes."""
    if not isinstance(source, str | Path | Mapping | Spec):
        raise SpecError(wrong_source(source, also))


def with_outputs(spec: Spec, outputs: str | Mapping[str, str], *, maps: bool = False) -> Spec:
    """The spec with other outputs. Raises SpecError.

    outputs  the path of a node, or a mapping name -> path
    maps     give the outputs as feature maps b c h w
    """
    given = outputs if isinstance(outputs, str) else dict(outputs)
    raw: dict[str, Any] = {"backbone": spec.name, "outputs": given, **({"maps": True} if maps else {})}
    return _begun_by(spec, raw, "<outputs>")


def with_kernels(spec: Spec, kernels: str) -> Spec:
    """The spec with other `kernels`: `fused` or `reference`. Raises SpecError."""
    return _begun_by(spec, {"name": spec.name, "backbone": spec.name, "kernels": kernels}, "<kernels>")


def _begun_by(spec: Spec, raw: dict[str, Any], name: str) -> Spec:
    """The spec that starts from another and says this of it."""
    raw |= {"description": spec.description} if spec.description else {}
    document = Document.from_mapping(raw, name)
    file = LoadedFile(validate(document), Origin(document), None, spec.files[0].root)
    return assemble((file, *spec.files), spec.overrides, allow_code=spec.allow_code)


def assemble(files: tuple[LoadedFile, ...], overrides: tuple[Setting, ...], *, allow_code: bool = False) -> Spec:
    """A Spec from a chain of files and overridden vars. Raises SpecError."""
    spec = _settled(files, overrides, allow_code=allow_code)
    SpecError.check(spec.problems)
    return spec


def settle_part(part: Part, values: Mapping[str, Any], places: Mapping[str, Origin]) -> Spec:
    """The network of a part with these vars; `places` as for `with_vars`. Raises SpecError."""
    if dict(values) == dict(part.values):
        return part.spec if part.kept_rules is None else part.spec.with_rules(part.kept_rules)
    allow = part.spec.allow_code
    finder = PartsFinder(lambda files, within: _settled(files, (), (), within, allow_code=allow), with_weights=False)
    spec = finder.settle(with_vars(part.files, values, places), finder)
    SpecError.check(spec.problems)
    return replace(spec, weights=part.spec.weights).with_rules(len(part.rules))


def _settled(
    files: tuple[LoadedFile, ...],
    overrides: tuple[Setting, ...],
    problems: Sequence[Diagnostic] = (),
    finder: PartsFinder | None = None,
    *,
    allow_code: bool = False,
    ask: bool = True,
) -> Spec:
    """As `assemble`, with the problems in the Spec, `problems` first. Raises SpecError if it cannot be settled."""
    begun = begin(files, overrides, allow_code=allow_code, ask=ask)
    problems = [*problems, *(begun.problems if begun else ())]
    vars = settle_vars(begun.files if begun else files, overrides)
    if begun:
        begun = settle_source(begun, vars.values, vars.origins)
        files = begun.files
    inputs, origins = settle_inputs(files)
    source = with_shapes(begun.source, inputs, origins, vars.values, begun.library) if begun else None
    written = settle_nodes(files)
    found = (settle_outputs(file.content, vars.values, file.origin) for file in down_to_writer(files))
    outputs = next((one for one in found if one is not None), None)
    weights, part_weights = _weights(files, find=ask) if finder is None or finder.with_weights else (None, {})
    if finder is None:
        silent = any(file.content.weights is not None for file in files) and not weights and not part_weights
        finder = PartsFinder(
            lambda files, within: _settled(files, (), (), within, allow_code=allow_code, ask=ask),
            with_weights=not silent,
        )
    own = PartsFinder(finder.settle, finder.with_weights, finder.left)
    parts = own.find(written, vars.values)
    finder.left = own.left
    spec = Spec(
        name=next((file.content.name for file in files if file.content.name), _stem(files[0])),
        inputs=inputs,
        input_origins=origins,
        vars=vars.values,
        kinds=vars.kinds,
        var_origins=vars.origins,
        nodes=written.nodes,
        node_origins=written.node_origins,
        blocks=written.blocks,
        block_origins=written.block_origins,
        outputs=None if outputs is None else outputs.paths,
        rules=tuple(
            (rule, file.origin / "attention" / index)
            for file in reversed(files)
            for index, rule in enumerate(file.content.attention)
        ),
        classes=next((names for names in map(read_classes, files) if names is not None), None),
        files=files,
        overrides=overrides,
        weights=weights,
        part_weights=part_weights,
        misses=bool(vars.problems),
        parts=parts,
        source=source,
        allow_code=allow_code,
    )
    known = [problem.path for problem in problems]
    problems = [*problems, *(problem for problem in vars.problems if problem.path not in known), *own.problems]
    known = [problem.path for problem in problems]
    more = (one for one in check_spec(spec) if not any(f"{path}.".startswith(f"{one.path}.") for path in known))
    return replace(spec, problems=(*problems, *islice(more, MAX_FOUND)))


def _weights(
    files: tuple[LoadedFile, ...], *, find: bool = True
) -> tuple[FoundWeights | None, dict[str, FoundWeights]]:
    """The `weights` of the nearest file that has them: of the whole network (None if it says `none`), or by part.

    Without `find`, their files are not looked for. Raises SpecError.
    """
    speaking = next((file for file in files if file.content.weights is not None), None)
    if speaking is None:
        return None, {}
    written, origin = speaking.content.weights, speaking.origin / "weights"
    if isinstance(written, WeightsSpec):
        found = find_weights(written, speaking, origin) if find else (written, origin)
        return (None if written.source == NO_WEIGHTS else found), {}
    named = {path: (one, origin / path) for path, one in (written or {}).items()}
    return None, {path: find_weights(one[0], speaking, one[1]) if find else one for path, one in named.items()}


def _without_weights(document: Document) -> Document:
    """The document with `weights: none`, which also overrides the weights of the files that it refers to."""
    if not isinstance(document.root.data, dict):
        return document
    return replace(document, root=document.root.with_value(("weights",), Value(NO_WEIGHTS)))


def _stem(file: LoadedFile) -> str:
    return visible(file.path.stem) if file.path else "network"
