"""The client of the Hugging Face Hub: references, repositories, and its errors in our words. No token is ever shown."""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from composer.errors import ComposerError, Diagnostic, InputError, UnavailableError
from composer.spec.hub import parse_reference

_TOKEN = re.compile(r"\bhf_\w+|(?i:bearer)\s+\S+")
# How their messages begin when the hub did not answer, by the name of the exception.
_UNREACHED = {
    *("OfflineModeIsEnabled", "LocalEntryNotFoundError", "ConnectError", "ConnectTimeout", "ReadTimeout"),
    *(
        "ConnectionError",
        "TimeoutException",
        "NetworkError",
        "RemoteProtocolError",
        "TransportError",
        "RequestException",
    ),
}


@dataclass(frozen=True)
class Repository:
    """A repository on the hub.

    name      `USER/NAME`
    revision  a branch, tag or commit; None for the main branch
    """

    name: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"hf:{self.name}" + (f"@{self.revision}" if self.revision else "")

    @classmethod
    def of(cls, reference: str) -> Repository:
        """The repository of a reference `hf:USER/NAME[@REVISION]`. Raises InputError for any other text."""
        label = "`hf:USER/NAME`, or `hf:USER/NAME@REVISION`"
        found = parse_reference(reference) if reference.startswith("hf:") else None
        if found is None or found["file"] is not None or "/" not in found["repo"]:
            raise InputError(Diagnostic("hub", f"cannot read the repository `{reference}`", label=label))
        return cls(found["repo"], found["revision"])


def library() -> Any:
    """The package `huggingface_hub`. Raises UnavailableError if it is not installed."""
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError as error:
        text = "the hub needs the package `huggingface_hub`"
        help = ("pip install 'attention-composer[hf]'",)
        raise UnavailableError(Diagnostic("extra", text, label="an extra of composer", help=help)) from error


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Turns errors of the client into ours; `what` says what failed, such as "cannot fetch `hf:a/b`".

    Raises UnavailableError if the hub does not answer, and InputError if it refuses.
    """
    progress = importlib.import_module("huggingface_hub.utils")
    shown = not progress.are_progress_bars_disabled()
    progress.disable_progress_bars()
    try:
        yield
    except ComposerError:
        raise
    except Exception as error:
        raise _problem(what, error) from None
    finally:
        if shown:
            progress.enable_progress_bars()


def _problem(what: str, error: Exception) -> ComposerError:
    names = {one.__name__ for one in type(error).__mro__}
    said = _TOKEN.sub("…", " ".join(str(error).split()[:40]) or type(error).__name__)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if names & _UNREACHED and status is None:
        help = ("check the connection, and HF_HUB_OFFLINE and HF_ENDPOINT where they are set",)
        return UnavailableError(Diagnostic("weights-network", f"{what}: the hub does not answer ({said})", help=help))
    advice = {
        "GatedRepoError": ("ask its owners for access on its page, and log in: `hf auth login`",),
        "RepositoryNotFoundError": ("check the name; a private one needs a login: `hf auth login`",),
        "RevisionNotFoundError": ("check the branch, tag or commit behind `@`",),
        "LocalTokenNotFoundError": ("log in: `hf auth login`",),
    }
    found = next((lines for name, lines in advice.items() if name in names), None)
    if found is None and status in (401, 403):
        found = ("log in with a token that may write there: `hf auth login`",)
    return InputError(Diagnostic("hub", f"{what}: {said}", help=found or ()))
