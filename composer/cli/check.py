"""`composer check`: the checks of the contract on mechanisms, of a plugin or of composer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from composer.cli.options import Format, FormatOption, Plugins, Saying, say
from composer.cli.progress import counted, stage
from composer.cli.screen import print_json
from composer.cli.spread import spread
from composer.cli.tables import print_table
from composer.errors import Diagnostic, InputError, PluginError, did_you_mean, one_of

if TYPE_CHECKING:
    from composer.contract import Verdict
    from composer.registry import Entry, ModuleEntry


@spread
def command(
    context: typer.Context,
    *,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME|FILE]...", help="Mechanisms, or plugin files; all if none.")
    ] = None,
    options: Annotated[
        list[str] | None, typer.Option("--with", metavar="OPTION=VALUE", help="Check it with an option. Repeatable.")
    ] = None,
    plugin: Plugins = None,
    format: FormatOption = Format.TEXT,
    saying: Saying,
) -> None:
    """Run mechanisms through the contract that composer's own pass: gradients, sizes, precision, copies, export …

    Exits with 1 where a check fails. A refusal is a mechanism's own word that it does not do something, and why.
    """
    wanted = [(entry, _options(entry, options or [])) for entry in _entries(names or [])]
    from composer import contract
    from composer.contract.block import mistakes

    # Each check would only tell it again.
    PluginError.check(one for entry, values in wanted for one in mistakes(contract.Subject(entry, values)))

    results = {}
    for entry, values in wanted:
        with stage(context, f"checking {entry.name}") as tell:
            verdicts = contract.run(contract.Subject(entry, values))
            results[entry.name] = list(counted(verdicts, tell, f"{len(contract.checks_of(entry))} checks"))
    if format is Format.JSON:
        print_json({name: [vars(one) for one in found] for name, found in results.items()})
    elif len(results) == 1:
        (found,) = results.values()
        print_table(("check", "result", "why"), [(one.check, one.status, one.detail) for one in found])
        if len(found) < len(contract.CHECKS):
            say(context, f"\n{len(found)} of {len(contract.CHECKS)} checks: there is no `reference=` to compare with")
    else:
        print_table(("mechanism", "ok", "otherwise"), [_row(name, found) for name, found in results.items()], ("ok",))
    if any(one.status == "failed" for found in results.values() for one in found):
        raise typer.Exit(1)


def _row(name: str, found: list[Verdict]) -> tuple[str, str, str]:
    others = [f"{one.check}: {one.status}, {one.detail}" for one in found if one.status != "ok"]
    return name, f"{len(found) - len(others)} of {len(found)}", "; ".join(others)


def _options(entry: ModuleEntry, written: list[str]) -> dict[str, Any]:
    """The options for the checks of a mechanism. Raises InputError for a wrong, unknown or missing option."""
    from composer.options import ValidationError, describe_problem, validate_options
    from composer.spec.yaml import parse_value

    pairs = [text.partition("=") for text in written]
    try:
        return validate_options(entry.options, {name: parse_value(value) for name, _, value in pairs})
    except ValidationError as error:
        record = error.errors()[0]
        name = str(record["loc"][0])
        known = {
            "missing": f"`{entry.name}` needs `{name}`",
            "extra_forbidden": f"`{entry.name}` has no option `{name}`",
        }
        text = known.get(record["type"], f"`{name}` of `{entry.name}`: {describe_problem(record)}")
        help = (f"its options are {one_of(entry.options.model_fields)}; give one with `--with OPTION=VALUE`",)
        raise InputError(Diagnostic("option-type", text, help=help)) from error


def _entries(names: list[str]) -> list[ModuleEntry]:
    """The mechanisms with these names or in these plugin files; all if none. Raises InputError, PluginError."""
    from composer import registry

    found: list[Entry] = []
    for name in names:
        if name.endswith((".py", ".yaml", ".yml")):
            registry.load_plugin(name)
            file = Path(name).resolve()
            inside = [one for one in registry.entries("mechanism") if Path(one.file).resolve() == file]
            if not inside:
                label = "@composer.mechanism, or a block with a `kind`"
                raise InputError(Diagnostic("plugin", f"`{name}` registers no mechanism", label=label))
            found += inside
        elif (entry := registry.get(name)) is not None and entry.category == "mechanism":
            found.append(entry)
        else:
            known = [one.name for one in registry.entries("mechanism")]
            all_of_them = "`composer list mechanisms` shows all; a plugin file ends in .py or .yaml"
            hint = registry.hint(name) or did_you_mean(name, known, all_of_them)
            raise InputError(Diagnostic("unknown-name", f"no mechanism is called `{name}`", help=hint))
    from composer.contract.block import mechanism_of

    return [mechanism_of(one) for one in found or registry.entries("mechanism")]
