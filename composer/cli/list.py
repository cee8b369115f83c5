"""`composer list`: what there is to use."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

import typer

from composer.cli.options import Format, FormatOption, Plugins, Quiet, Verbose, print_json, say
from composer.cli.tables import print_table


class What(enum.StrEnum):
    """Kinds of names."""

    ALL = "all"
    MECHANISMS = "mechanisms"
    LAYERS = "layers"
    BACKBONES = "backbones"
    PAPERS = "papers"
    KEYS = "keys"


def command(
    context: typer.Context,
    what: Annotated[What, typer.Argument(help="Which names.")] = What.ALL,
    pattern: Annotated[str, typer.Argument(help="Only names like this, e.g. 'resnet*'.")] = "*",
    plugin: Plugins = None,
    format: FormatOption = Format.TEXT,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """List mechanisms, layers, backbones, the papers' networks, and key maps for other libraries' weights."""
    wanted = [one for one in What if one is not What.ALL] if what is What.ALL else [what]
    found = {one.value: _rows(one, pattern) for one in wanted}
    if format is Format.JSON:
        print_json(found if what is What.ALL else found[what.value])
        return
    for index, (name, rows) in enumerate(found.items()):
        if what is What.ALL:
            print(("\n" if index else "") + name)
        if rows:
            print_table([*rows[0]], [list(row.values()) for row in rows])
    if not any(found.values()):
        say(context, f"nothing is called `{pattern}`")
    if any(one in wanted for one in (What.MECHANISMS, What.LAYERS)):
        from composer import registry

        for problem in registry.failures():
            say(context, str(problem))


def _rows(what: What, pattern: str) -> Sequence[dict[str, Any]]:
    if what is What.BACKBONES or what is What.PAPERS:
        from composer.spec import zoo

        names = zoo.backbones(pattern) if what is What.BACKBONES else zoo.papers(pattern)
        return [{"name": name} for name in names]
    if what is What.KEYS:
        return _key_maps(pattern)
    from composer import registry

    return [
        {"name": entry.name, "kind": entry.kind, "from": entry.plugin.name, "summary": entry.summary}
        for entry in registry.entries(what.value.removesuffix("s"), pattern)
    ]


def _key_maps(pattern: str) -> list[dict[str, Any]]:
    from composer.spec import zoo

    found = {name: zoo.key_map(name) for name in zoo.key_maps() if fnmatchcase(name, pattern)}
    # The first line of each says whose names it knows.
    heads = {name: path.read_text(encoding="utf-8").splitlines()[0] for name, path in found.items() if path}
    return [{"name": name, "names": head.removeprefix("# ")} for name, head in heads.items()]
