"""`composer show`: explains a mechanism, layer or backbone, or lists the codes of errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from composer import finding
from composer.amounts import thousands
from composer.cli.options import AllowCode, Format, FormatOption, Plugins, Saying, complete_spec
from composer.cli.progress import stage
from composer.cli.screen import out, print_json
from composer.cli.spread import spread
from composer.cli.tables import print_table, prose
from composer.errors import Diagnostic, InputError, did_you_mean
from composer.index.card import SIZE, card, cards, failures, shown
from composer.spec import zoo
from composer.spec.sites import MEANINGS

if TYPE_CHECKING:
    from composer.spec.model_source import ModelSource
    from composer.spec.spec import Spec


# No registered name equals this word.
ERRORS = "errors"


@spread
def command(
    context: typer.Context,
    *,
    name: Annotated[
        str,
        typer.Argument(
            help="A mechanism, layer, backbone, paper's network or model (timm:NAME); a site; or `errors`.",
            autocompletion=complete_spec,
        ),
    ],
    code: Annotated[str | None, typer.Argument(help="With `errors`: only this code.")] = None,
    at: Annotated[
        tuple[int, int, int], typer.Option(metavar="C H W", help="The size at which to state the cost.")
    ] = SIZE,
    plugin: Plugins = None,
    allow_code: AllowCode = False,
    format: FormatOption = Format.TEXT,
    saying: Saying,
) -> None:
    """Explain a mechanism or layer (maths, options, source) or a backbone (vars, rules, file).

    A site is where rules put things: what it means. `errors` are the codes that messages have in JSON.
    """
    if code is not None and name != ERRORS:
        raise typer.BadParameter("a code goes with `errors`: composer show errors CODE")
    if name == ERRORS:
        _show_errors(format, code)
    elif name in MEANINGS and not zoo.find(name) and card(name) is None:
        _show_site(name, format)
    elif not zoo.find(name) and (known := card(name)) is not None:
        with stage(context, f"explaining {name}"):
            found = shown(known, at)
        if format is Format.JSON:
            print_json(found)
        else:
            _print_entry(found)
    else:
        _show_network(context, name, format, allow_code=allow_code)


def _show_network(context: typer.Context, name: str, format: Format, *, allow_code: bool) -> None:
    from composer.spec.model_source import short_form

    is_file = name.endswith((".yaml", ".yml")) and Path(name).is_file()
    if not zoo.find(name) and short_form(name) is None and not is_file:
        every = cards()
        mechanisms = [one for one in every if one.category == "mechanism"]
        known = [*(one.name for one in every), *zoo.names(), *MEANINGS]
        help = finding.hint(mechanisms, name) or did_you_mean(name, known, "`composer list` shows all")
        raise InputError([Diagnostic("unknown-name", f"nothing is called `{name}`", help=help), *failures()])
    from composer.spec.load import load_spec

    with stage(context, f"explaining {name}"):
        found = _spec(load_spec(name, allow_code=allow_code))
    if format is Format.JSON:
        print_json(found)
    else:
        _print_spec(found)


def _show_errors(format: Format, code: str | None) -> None:
    from composer.codes import CODES

    if code is not None and code not in CODES:
        help = did_you_mean(code, CODES, "`composer show errors` lists them")
        raise InputError(Diagnostic("unknown-name", f"no error has the code `{code}`", help=help))
    found = CODES if code is None else {code: CODES[code]}
    if format is Format.JSON:
        print_json(found)
    else:
        print_table(("code", "meaning"), found.items())


def _show_site(name: str, format: Format) -> None:
    written = f"attention:\n  - {{use: cbam, after: {name}}}"
    from composer.spec.references import with_site

    networks = with_site(name)
    if format is Format.JSON:
        print_json({"name": name, "category": "site", "doc": MEANINGS[name], "yaml": written, "networks": networks})
        return
    prose(f"{name}  (site)\n\nA place where rules put things: {MEANINGS[name]}.")
    out(f"\nYAML:\n{_indented(written)}\n")
    every = zoo.backbones()
    others = [one for one in every if one not in networks]
    if others:
        few = len(others) < len(networks)
        head = f"all {len(every)} networks of the zoo but" if few else f"of the zoo's {len(every)} networks,"
        print_table(("", ""), [(head, ", ".join(others if few else networks))])
    else:
        out(f"all {len(every)} networks of the zoo have it")
    out()
    prose("`composer sites NETWORK` lists the places of a network, its own sites too; some have a site only by a var.")


def _print_entry(found: Mapping[str, Any]) -> None:
    is_mechanism = found["category"] == "mechanism"
    out(f"{found['name']}  ({found['kind']} {found['category']})\n")
    prose(found["doc"] or "No description.")
    out()
    if found["options"]:
        rows = [
            (name, option["type"], "required" if option["required"] else json.dumps(option["default"]))
            for name, option in found["options"].items()
        ]
        print_table(("option", "type", "default"), rows)
        out()
    if is_mechanism and len(found["tensors"]) > 1:
        prose(f"takes the tensors: {', '.join(found['tensors'])}")
    if found["aliases"]:
        prose(f"also called: {', '.join(found['aliases'])}")
    if found["facts"]:
        prose(f"filled in from the place: {', '.join(found['facts'])}")
    if found["layouts"]:
        prose(f"works on: {', '.join(map(str, found['layouts']))}")
    if found["replaces"]:
        prose(f"stands in for: {found['replaces']}")
    if found["places"]:
        places = (", ".join(f"{key}: {text}" for key, text in place.items()) for place in found["places"])
        prose(f"usual place: {'; else '.join(places)}")
    if found["prefix"]:
        prose("at tokens: prefix tokens take part")
    if found["applied"]:
        prose(f"its attention values are applied as: {found['applied']}")
    if found["declares"]:
        prose(f"declares its own: {', '.join(found['declares'])}")
    if found["cost"]:
        at, *numbers = found["cost"].values()
        prose("cost at {}: {} parameters, {} MACs".format(at, *map(thousands, numbers)))
    prose(f"from: {found['plugin']} ({found['source']})")
    out(f"\nYAML:\n{_indented(found['yaml'])}")
    if found["python"]:
        out(f"\nPython:\n{_indented(found['python'])}")


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _spec(spec: Spec) -> dict[str, Any]:
    from composer.schema import describe

    return {
        "name": spec.name,
        **({"description": spec.description} if spec.description else {}),
        "files": list(dict.fromkeys(file.origin.document.source.name for file in spec.files)),
        "about": [text for file in spec.files if (text := file.origin.document.comment)],
        **({"published": spec.published.model_dump(exclude_none=True)} if spec.published else {}),
        "vars": dict(spec.vars),
        "kinds": {name: describe(kind.schema()) for name, kind in spec.kinds.items()},
        "meanings": {name: kind.description for name, kind in spec.kinds.items()},
        "inputs": {name: value.model_dump() for name, value in spec.inputs.items()},
        **({"arguments": _arguments(spec.source)} if spec.source else {}),
        "rules": [rule.model_dump(exclude_unset=True, by_alias=True) for rule, _ in spec.rules],
    }


def _arguments(source: ModelSource) -> list[str]:
    from composer.sources import arguments_of

    return arguments_of(source)


def _print_spec(found: dict[str, Any]) -> None:
    from composer.spec.dump import dump

    for text in found.pop("about"):
        out("\n".join(f"# {line}".rstrip() for line in text.splitlines()) + "\n")
    kinds, meanings = found.pop("kinds"), found.pop("meanings")
    out(dump(found), end="")
    if kinds:
        # As comments, so that the whole is YAML.
        out()
        rows = [(f"# {name}", kinds[name], meanings[name]) for name in kinds]
        print_table(("# var", "may be", "what it means"), rows)
