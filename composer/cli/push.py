"""`composer push`: a network, its weights and its card on the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from composer.cli.opening import Opening
from composer.cli.options import Budget, Force, say
from composer.cli.progress import stage
from composer.cli.screen import out
from composer.cli.spread import spread

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule

_DRY = "Write what would be uploaded there, and connect to nobody."
_LICENSE = "What the card says, of the hub's list, such as apache-2.0; else it says none."


@spread
def command(
    context: typer.Context,
    *,
    opening: Opening,
    repo: Annotated[str, typer.Argument(metavar="hf:USER/NAME", help="The repository; made if it is not there.")],
    dry_run: Annotated[Path | None, typer.Option("--dry-run", metavar="FOLDER", help=_DRY)] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository private; refuse a public one.")
    ] = False,
    message: Annotated[str | None, typer.Option("--message", metavar="TEXT", help="Of the commit.")] = None,
    license: Annotated[str | None, typer.Option("--license", metavar="NAME", help=_LICENSE)] = None,
    force: Force = False,
    budget: Budget,
) -> None:
    """Upload a network: its spec, lock, weights, picture, a generated model card, and plugin files that it uses.

    SPEC is also the folder that `composer build -o` or `composer pull` wrote, whose weights go along. Needs the extra
    `hf` and a login (`hf auth login`). The card that a repository has stays, unless --force.
    """
    from composer.files import check_target
    from composer.sharing.hub import Repository
    from composer.sharing.manifest import CARD

    Repository.of(repo)
    if dry_run is not None:
        # All files have names of the network, but for this one.
        check_target(dry_run / CARD, force=force)
    model, record = _model(context, opening, budget)
    from composer.sharing import push

    with stage(context, f"pushing to {repo}" if dry_run is None else f"writing {dry_run}") as tell:
        found = push(
            model,
            repo,
            dry_run=dry_run,
            private=private or None,
            message=message,
            license=license,
            force=force,
            record=record,
            tell=tell,
        )
    if dry_run is None:
        out(found)
    else:
        say(context, f"wrote {found}; nothing was uploaded")


def _model(context: typer.Context, opening: Opening, budget: Budget) -> tuple[ComposedModule, Mapping[str, Any] | None]:
    """The network with its weights, and the record of the folder that it was read from."""
    from composer.paths import is_folder

    if not is_folder(opening.spec):
        graph, weights = opening.compose(context, budget)
        return opening.build(context, graph, weights)[0], None
    from composer.sharing.manifest import Manifest, find_lock
    from composer.sharing.opening import check_files, from_folder, load_plugins

    lock = find_lock(Path(opening.spec))
    manifest = Manifest.read(lock)
    if opening.weights is None and not opening.reading.sets:
        with stage(context, f"reading {opening.spec}"):
            return from_folder(lock.parent, lock=lock.name, allow_code=opening.reading.allow_code), manifest.record
    check_files(lock.parent, manifest)
    load_plugins(lock.parent, manifest, allow_code=opening.reading.allow_code)
    again = replace(opening, spec=str(lock))
    graph, weights = again.compose(context, budget)
    return again.build(context, graph, weights)[0], None
