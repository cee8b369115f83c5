"""`composer new`: writes a spec to start from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from composer.cli.options import Force, Plugins, Saying, check_output, say
from composer.cli.progress import stage
from composer.cli.screen import out
from composer.cli.spread import spread
from composer.errors import Diagnostic, GraphError, InputError, did_you_mean
from composer.spec import zoo

SCHEMA = "composer.schema.json"

_STARTER = """\
# yaml-language-server: $schema={schema}
# Check it: composer validate {file}        Build it: composer build {file}
name: {name}
backbone: {backbone}    # `composer list backbones` shows all; or the path of a .yaml file
# vars: {{num_classes: 10}}    # what the backbone lets you change: `composer show {backbone}`
# weights: {backbone}.safetensors    # what it starts with: a file beside this one, or timm:…, torchvision:…, hf:…

attention:
  - use: {mechanism}    # `composer list mechanisms` shows all, `composer show {mechanism}` its options
    {position}    # before | after | replace | beside a site, or several: [a, b]; `composer sites {backbone}` shows all
    with: {options}
    # where: depth >= 0.5 and not last    # only at some of the places
    # every: 2    # only at every second of these
    # expect: {places}    # fail unless so many places match
    # start: identity    # start as the plain backbone, so that its pretrained weights still work
"""
# The first mechanism that fits is used: CBAM for feature maps, another token mixer for token networks.
_OPTIONS = {"cbam": "{reduction: 16}", "mhsa": "{num_heads: 4}"}


@spread
def command(
    context: typer.Context,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="`-` is stdout.")] = Path("-"),
    backbone: Annotated[str, typer.Option(help="The backbone to start from, or a model: timm:NAME.")] = "resnet50",
    force: Force = False,
    plugin: Plugins = None,
    saying: Saying,
) -> None:
    """Write a commented spec, and beside it the schema with which editors complete and check it.

    A schema that composer wrote there before is renewed; any other file is replaced only with `--force`.
    """
    from composer.spec.load import load_spec
    from composer.spec.model_source import short_form

    model = short_form(backbone)
    if model is not None and not model.python:
        # Its library says whether it has the model.
        load_spec(backbone)
    elif zoo.find(backbone) is None:
        if model is not None or backbone.endswith((".yaml", ".yml")):
            what = "code of yours" if model is not None else "a spec already"
            help = (f"write a spec that begins with `backbone: {backbone}`, as those that `composer new` writes do",)
            text = f"`{backbone}` is {what}, from which `new` does not start"
            raise InputError(Diagnostic("unknown-backbone", text, label="a name of the zoo, or timm:NAME", help=help))
        hint = did_you_mean(backbone, zoo.backbones(), "`composer list backbones` shows all")
        raise InputError(Diagnostic("unknown-backbone", f"unknown backbone `{backbone}`", help=hint))
    to_stdout = str(output) == "-"
    stem = "my_net" if to_stdout else output.stem
    beside = output.parent / SCHEMA
    if not to_stdout:
        check_output(output, force=force)
        # A schema is generated and depends on the installed plugins, so a new one replaces an older one.
        check_output(beside, force=force or _is_schema(beside))
    with stage(context, f"finding what fits {backbone}"):
        text = _starter(stem, backbone)
    if to_stdout:
        out(text, end="")
        return
    from composer.files import staged, write_text

    with staged([output], force=force) as (path,):
        path.write_text(text, encoding="utf-8")
        from composer.schema import schema

        write_text(beside, json.dumps(schema(), indent=1) + "\n", force=force or _is_schema(beside))
    say(context, f"wrote {output} and {beside}")


def _is_schema(file: Path) -> bool:
    """Whether a file is a schema that composer wrote, of any version."""
    from composer.schema import TITLE

    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("title") == TITLE


def _starter(stem: str, backbone: str) -> str:
    from composer import registry
    from composer.api import compose
    from composer.dag.rules.default_place import default_place

    plain = compose(backbone)
    for mechanism, options in _OPTIONS.items():
        entry = registry.get_mechanism(mechanism)
        assert entry is not None
        place = default_place(entry, plain.places.sites)
        try:
            found = compose({"backbone": backbone, "attention": [{"use": mechanism, **place}]})
        except GraphError:
            continue
        return _STARTER.format(
            schema=SCHEMA,
            file=f"{stem}.yaml",
            name=json.dumps(stem) if not stem.isidentifier() else stem,
            backbone=backbone,
            mechanism=mechanism,
            position="\n    ".join(f"{key}: {text}" for key, text in place.items()),
            options=options,
            places=len(found.added[0].places),
        )
    text = f"`{backbone}` takes none of the mechanisms that a new spec starts with"
    raise InputError(Diagnostic("unknown-backbone", text, help=("start from another with --backbone",)))
