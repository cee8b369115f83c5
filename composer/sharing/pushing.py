"""Uploads a network to the Hugging Face Hub, in one commit."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.errors import Diagnostic, InputError, one_of
from composer.sharing.folder import write_folder
from composer.sharing.hub import Repository, explained, library
from composer.sharing.manifest import CARD, LOCK

if TYPE_CHECKING:
    from composer.compile.module import ComposedModule


def push(
    model: ComposedModule,
    repo: str,
    *,
    dry_run: str | Path | None = None,
    private: bool | None = None,
    message: str | None = None,
    license: str | None = None,
    force: bool = False,
    record: Mapping[str, Any] | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> str:
    """Upload a network, as `write_folder` writes it, and return the address of the commit.

    model    the network, with the weights that it has now
    repo     `hf:USER/NAME`, which is made if it is not there; with `@BRANCH` for a branch that is there
    dry_run  write what would be uploaded into this folder, and connect to nobody; returns the folder
    private  make a new repository private, and refuse one that is public; by default what the account says
    message  of the commit
    license  what the card says: a license of the hub's list, such as `apache-2.0`
    force    replace the card that the repository has, and files of the folder of a dry run
    record   the `lock` of the folder that the network was read from, so that its origin is kept
    tell     told what is being done
    The login is that of huggingface_hub: `hf auth login`, or HF_TOKEN. Raises what `write_folder` raises; InputError if
    the hub refuses or the repository holds another network; UnavailableError if it does not answer.
    """
    target = Repository.of(repo)
    if dry_run is not None:
        write_folder(model, dry_run, force=force, license=license, repo=str(target), record=record)
        return str(dry_run)
    hub = library()
    with tempfile.TemporaryDirectory() as folder:
        tell("writing the files")
        written = write_folder(model, folder, license=license, repo=str(target), record=record)
        api = hub.HfApi()
        with explained(f"cannot push to `{target}`"):
            tell("asking the hub")
            api.create_repo(target.name, private=private, exist_ok=True)
            if private:
                _check_private(api.model_info(target.name).private, target)
            there = api.list_repo_files(target.name, revision=target.revision)
            _check_alone(there, written[-1].name, target)
            tell(f"uploading {len(written)} files")
            commit = api.upload_folder(
                repo_id=target.name,
                folder_path=folder,
                revision=target.revision,
                commit_message=message or f"The network {model.spec.name}",
                ignore_patterns=[CARD] if CARD in there and not force else None,
            )
    return str(commit.commit_url)


def _check_private(private: bool | None, target: Repository) -> None:
    """Raises InputError if a repository that should be private is not."""
    if not private:
        text = f"`{target}` is there already, and everybody can read it"
        help = ("make it private on its page, name another repository, or push without `--private`",)
        raise InputError(Diagnostic("hub", text, label="a private repository", help=help))


def _check_alone(there: list[str], lock: str, target: Repository) -> None:
    """Raises InputError if the repository holds another network."""
    others = [name for name in there if name.endswith(LOCK) and "/" not in name and name != lock]
    if others:
        text = f"`{target}` holds another network: {one_of(others)}"
        help = ("name another repository, or delete those files there",)
        raise InputError(Diagnostic("hub", text, label=f"a repository without a lock, or with `{lock}`", help=help))
