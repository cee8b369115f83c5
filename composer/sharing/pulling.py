"""Fetches a network from the Hugging Face Hub. Only files that its lock names are taken, and nothing is run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from composer.amounts import size
from composer.errors import Diagnostic, InputError, one_of
from composer.files import check_target, staged
from composer.paths import sha256
from composer.sharing.hub import Repository, explained, library
from composer.sharing.manifest import CARD, LOCK, WEIGHTS, Manifest, is_plain
from composer.spec.yaml import MAX_BYTES

MIB = 1 << 20
# The largest weights that are fetched unless more is allowed, and the largest of all other files.
MAX_WEIGHTS = 10 << 30
MAX_OTHER = 64 * MIB


def pull(
    repo: str,
    folder: str | Path,
    *,
    force: bool = False,
    max_bytes: int = MAX_WEIGHTS,
    tell: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Fetch a network into a folder, all files or none; returns their paths, the lock last.

    repo       `hf:USER/NAME`, or `hf:USER/NAME@REVISION`
    folder     made if it is not there
    force      replace existing files
    max_bytes  the largest file of weights that is fetched
    tell       told what is being done

    Taken are the lock, the files whose names and hashes it has, and README.md; whatever else the repository holds is
    left there. Nothing of it is run, and weights are safetensors. Raises InputError if the hub refuses, if the lock is
    none or names what a network cannot have, if a file is missing, too large or another than the lock says; and
    UnavailableError if the hub does not answer or the extra `hf` is missing.
    """
    found = _Found.at(Repository.of(repo), library())
    folder = Path(folder)
    lock = found.lock()
    # What exists already is refused before anything large is fetched.
    check_target(folder / lock, force=force)
    manifest = Manifest.read(found.fetch(lock, MAX_BYTES))
    manifest.check_spec()
    card = [CARD] if CARD in found.sizes else []
    names = [*manifest.files, *card, lock]
    for name in names:
        check_target(folder / name, force=force)
    InputError.check(found.unfit(manifest, max_bytes))
    with staged([folder / name for name in names], force=force) as paths:
        for name, path in zip(names, paths, strict=True):
            tell(f"fetching {name}")
            shutil.copyfile(found.fetch(name, max_bytes if name.endswith(WEIGHTS) else MAX_OTHER), path)
            digest = manifest.files.get(name)
            if digest is not None and sha256(path) != digest:
                text = f"`{name}` in `{found.repository}` is not the file that its lock was written with"
                here = manifest.origin("sha256", name)
                raise InputError(here.problem("lock", text, f"SHA-256 {digest[:12]}…", ("ask its author",)))
    return [folder / name for name in names]


@dataclass(frozen=True)
class _Found:
    """A repository as it is at one commit: names of its files, and their sizes in bytes."""

    repository: Repository
    hub: Any
    commit: str
    sizes: Mapping[str, int | None]

    @classmethod
    def at(cls, repository: Repository, hub: Any) -> _Found:
        """The repository at its revision. Raises InputError or UnavailableError."""
        with explained(f"cannot fetch `{repository}`"):
            info = hub.HfApi().model_info(repository.name, revision=repository.revision, files_metadata=True)
            sizes = {one.rfilename: one.size for one in info.siblings or ()}
        return cls(repository, hub, str(info.sha), sizes)

    def lock(self) -> str:
        """The name of its only lock. Raises InputError unless there is one."""
        found = [name for name in self.sizes if name.endswith(LOCK) and is_plain(name)]
        if len(found) != 1:
            what = f"{len(found)} networks: {one_of(found)}" if found else "no network of composer"
            text = f"`{self.repository}` holds {what}"
            help = ("weights alone are loaded by `--weights hf:USER/NAME`",) if not found else ()
            raise InputError(Diagnostic("hub", text, label=f"one file that ends in {LOCK}", help=help))
        return found[0]

    def unfit(self, manifest: Manifest, max_bytes: int) -> list[Diagnostic]:
        """A problem per file that the lock names and that is missing or too large."""
        problems = []
        for name in manifest.files:
            here = manifest.origin("sha256", name)
            most = max_bytes if name.endswith(WEIGHTS) else MAX_OTHER
            if name not in self.sizes:
                text = f"`{self.repository}` has no file `{name}`, which its lock names"
                problems.append(here.problem("lock", text, key=True))
            elif (known := self.sizes[name]) is None or known > most:
                text = f"`{name}` has {size(known)}" if known is not None else f"the hub gives no size of `{name}`"
                help = ("allow more: `--max-bytes`, `max_bytes=`",) if name.endswith(WEIGHTS) else ()
                problems.append(here.problem("hub", text, f"at most {size(most)}", help, key=True))
        return problems

    def fetch(self, name: str, most: int) -> Path:
        """The file in the cache of huggingface_hub, which goes on where an earlier download stopped."""
        if (known := self.sizes.get(name)) is None or known > most:
            text = f"`{name}` in `{self.repository}` has {size(known)}"
            raise InputError(Diagnostic("hub", text, label=f"at most {size(most)}"))
        with explained(f"cannot fetch `{name}` of `{self.repository}`"):
            path = Path(self.hub.hf_hub_download(self.repository.name, name, revision=self.commit))
        if path.stat().st_size > most:
            text = f"`{name}` in `{self.repository}` is larger than the hub says: {size(path.stat().st_size)}"
            raise InputError(Diagnostic("hub", text, label=f"at most {size(most)}"))
        return path
