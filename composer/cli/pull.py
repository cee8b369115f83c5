"""`composer pull`: a network from the Hugging Face Hub, as a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from composer.cli.options import Force, Saying, say
from composer.cli.progress import stage
from composer.cli.spread import spread

_REPO = "The repository; behind `@` a branch, tag or commit."
_MOST = "The largest file of weights that is fetched (default 10 GiB)."


@spread
def command(
    context: typer.Context,
    *,
    repo: Annotated[str, typer.Argument(metavar="hf:USER/NAME[@REVISION]", help=_REPO)],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where its files go.")],
    max_bytes: Annotated[int | None, typer.Option("--max-bytes", min=1, metavar="NUMBER", help=_MOST)] = None,
    force: Force = False,
    saying: Saying,
) -> None:
    """Fetch a network that `composer push` uploaded, all of its files or none. Nothing of it is run.

    Only the files that its lock names are taken, each by its hash, and README.md. `composer.from_folder` opens the
    folder, and `composer build FOLDER/NAME.lock.yaml` takes its spec. Needs the extra `hf`.
    """
    from composer.sharing.hub import Repository
    from composer.sharing.manifest import CODE

    Repository.of(repo)
    from composer.sharing.pulling import MAX_WEIGHTS, pull

    with stage(context, f"fetching {repo}") as tell:
        written = pull(repo, output, force=force, max_bytes=max_bytes or MAX_WEIGHTS, tell=tell)
    for path in written:
        say(context, f"wrote {path}")
    if code := [path for path in written if path.suffix == CODE]:
        say(
            context, f"not run: {', '.join(map(str, code))}; read it before you allow it, with `--plugin` or allow_code"
        )
