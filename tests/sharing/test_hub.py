"""Pushing and pulling with the real client, against a hub on this machine; and repositories that mean harm."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch

from composer import InputError, UnavailableError
from composer.sharing import from_folder, pull, push
from composer.sharing.manifest import Manifest
from composer.spec.dump import dump

from .fake_hub import Hub

FILES = ["README.md", "gated.graph.json", "gated.lock.yaml", "gated.safetensors", "gated.svg"]


@pytest.fixture
def there(hub: Hub, made: Path) -> dict[str, bytes]:
    """The files of a repository `me/gated`, to be changed."""
    hub.repositories["me/gated"] = {path.name: path.read_bytes() for path in made.iterdir()}
    return hub.repositories["me/gated"]


def test_what_is_pushed_is_pulled_bit_for_bit(hub: Hub, folder: Path, tmp_path: Path) -> None:
    model = from_folder(folder)
    with torch.no_grad():
        model.fc.bias.add_(1)
    url = push(model, "hf:me/gated", private=True, message="trained", license="mit")
    assert url.startswith(f"{hub.url}/me/gated/commit/")
    assert sorted(hub.repositories["me/gated"]) == FILES
    assert hub.private == {"me/gated": True}
    assert hub.messages == ["trained"]
    hub.repositories["me/gated"]["extra.bin"] = b"left there"
    written = pull("hf:me/gated@v1", tmp_path / "pulled")
    assert written[-1].name == "gated.lock.yaml"
    assert sorted(path.name for path in (tmp_path / "pulled").iterdir()) == FILES
    assert not any("extra.bin" in one for one in hub.requests)
    found = from_folder(tmp_path / "pulled").state_dict()
    assert all(torch.equal(one, found[key]) for key, one in model.state_dict().items())
    for path in written:
        assert b"hf_secret" not in path.read_bytes()


def test_a_dry_run_asks_nobody_and_gives_the_same_files(
    hub: Hub, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(from_folder(folder), "hf:me/gated")
    hub.requests.clear()
    monkeypatch.setattr(huggingface_hub, "HfApi", None)
    assert push(from_folder(folder), "hf:me/gated", dry_run=tmp_path / "dry") == str(tmp_path / "dry")
    assert not hub.requests
    dry = {path.name: path.read_bytes() for path in (tmp_path / "dry").iterdir()}
    assert sorted(dry) == FILES
    for name in ("README.md", "gated.graph.json", "gated.svg"):
        assert dry[name] == hub.repositories["me/gated"][name]


def test_a_card_that_is_there_stays_unless_it_is_to_be_replaced(hub: Hub, folder: Path) -> None:
    hub.repositories["me/gated"] = {"README.md": b"---\ntags: [mine]\n---\nmine"}
    push(from_folder(folder), "hf:me/gated")
    assert hub.repositories["me/gated"]["README.md"].endswith(b"mine")
    push(from_folder(folder), "hf:me/gated", force=True)
    assert b"# gated" in hub.repositories["me/gated"]["README.md"]


def test_a_repository_of_another_network_is_refused(hub: Hub, folder: Path) -> None:
    hub.repositories["me/gated"] = {"other.lock.yaml": b""}
    with pytest.raises(InputError, match=r"holds another network: `other\.lock\.yaml`"):
        push(from_folder(folder), "hf:me/gated")
    assert list(hub.repositories["me/gated"]) == ["other.lock.yaml"]


def test_what_should_be_private_does_not_go_to_a_public_repository(hub: Hub, folder: Path) -> None:
    hub.repositories["me/gated"] = {}
    with pytest.raises(InputError, match="everybody can read it"):
        push(from_folder(folder), "hf:me/gated", private=True)
    assert hub.repositories["me/gated"] == {}


@pytest.mark.parametrize(
    "reference", ["me/gated", "hf:gated", "hf:me/gated/file.bin", "hf:../x", "timm:resnet18", "hf:", ""]
)
def test_what_is_no_repository_is_said(reference: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the repository"):
        pull(reference, tmp_path / "net")


def relocked(there: dict[str, bytes], tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the lock in a repository."""
    path = tmp_path / "lock.yaml"
    path.write_bytes(there["gated.lock.yaml"])
    content = Manifest.read(path).document.plain()
    change(content)
    there["gated.lock.yaml"] = dump(content).encode()


def climbs(content: dict[str, Any]) -> None:
    content["lock"]["sha256"]["../../../escaped.safetensors"] = "0" * 64


def pickles(content: dict[str, Any]) -> None:
    content["lock"]["sha256"]["pytorch_model.bin"] = "0" * 64


def collides(content: dict[str, Any]) -> None:
    content["lock"]["sha256"] |= {"plugins/a.py": "0" * 64, "plugins/a.py/b.py": "0" * 64}


def hides(content: dict[str, Any]) -> None:
    content["lock"]["sha256"]["GATED.safetensors"] = "0" * 64


def changed(content: dict[str, Any]) -> None:
    content["attention"] = [{"use": "se", "after": "branch"}]


def gone(content: dict[str, Any]) -> None:
    content["lock"]["sha256"]["plugins/gone.py"] = "0" * 64


HOSTILE = {
    climbs: r"`\.\./\.\./\.\./escaped\.safetensors` is no file that a network may have",
    pickles: r"`pytorch_model\.bin` is no file that a network may have",
    collides: r"has no file `plugins/a\.py`",
    hides: "is named twice, but for upper and lower case",
    changed: r"the spec in `gated\.lock\.yaml` was changed",
    gone: r"has no file `plugins/gone\.py`, which its lock names",
}


@pytest.mark.parametrize("change", HOSTILE)
def test_a_hostile_lock_is_refused_before_anything_else_is_fetched(
    hub: Hub, there: dict[str, bytes], tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    relocked(there, tmp_path, change)
    with pytest.raises(InputError, match=HOSTILE[change]):
        pull("hf:me/gated", tmp_path / "net")
    assert not (tmp_path / "net").exists()
    assert not any("safetensors" in one or ".bin" in one for one in hub.requests)


def test_a_file_that_is_another_than_the_lock_says_is_refused(
    hub: Hub, there: dict[str, bytes], tmp_path: Path
) -> None:
    hub.served["gated.safetensors"] = there["gated.safetensors"][:-1] + b"x"
    with pytest.raises(InputError, match="is not the file that its lock was written with"):
        pull("hf:me/gated", tmp_path / "net")
    assert not (tmp_path / "net").exists()


def test_files_that_are_too_large_are_not_fetched(hub: Hub, there: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at most 1,000 B"):
        pull("hf:me/gated", tmp_path / "net", max_bytes=1000)
    hub.told["gated.graph.json"] = 1 << 40
    with pytest.raises(InputError, match=r"`gated\.graph\.json` has 1\.00 TiB"):
        pull("hf:me/gated", tmp_path / "net")
    hub.told["gated.lock.yaml"] = 1 << 30
    with pytest.raises(InputError, match=r"`gated\.lock\.yaml` in `hf:me/gated` has 1\.00 GiB"):
        pull("hf:me/gated", tmp_path / "net")
    hub.told = {"gated.safetensors": None}
    with pytest.raises(InputError, match=r"the hub gives no size of `gated\.safetensors`"):
        pull("hf:me/gated", tmp_path / "net")
    assert not any("GET" in one and "safetensors" in one for one in hub.requests)
    assert not (tmp_path / "net").exists()


def test_a_connection_that_ends_leaves_nothing_half_written(
    hub: Hub, there: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.broken = {"gated.svg"}
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises((UnavailableError, InputError), match=r"cannot fetch `gated\.svg`"):
        pull("hf:me/gated", tmp_path / "net")
    assert not (tmp_path / "net").exists()
    hub.broken = set()
    hub.requests.clear()
    pull("hf:me/gated", tmp_path / "net")
    # What had arrived is not fetched again.
    assert not any("GET" in one and "safetensors" in one for one in hub.requests)


def test_what_exists_is_refused_before_anything_large_is_fetched(
    hub: Hub, there: dict[str, bytes], folder: Path
) -> None:
    before = hashlib.sha256((folder / "gated.safetensors").read_bytes()).hexdigest()
    with pytest.raises(InputError, match="exists"):
        pull("hf:me/gated", folder)
    assert not any("safetensors" in one for one in hub.requests)
    pull("hf:me/gated", folder, force=True)
    assert hashlib.sha256((folder / "gated.safetensors").read_bytes()).hexdigest() == before


def test_repositories_that_are_not_there_or_hold_no_network(hub: Hub, there: dict[str, bytes], tmp_path: Path) -> None:
    for reference, words in (
        ("hf:me/gone", "cannot fetch `hf:me/gone`"),
        ("hf:me/gated@gone", "cannot fetch `hf:me/gated@gone`"),
    ):
        with pytest.raises(InputError, match=words):
            pull(reference, tmp_path / "net")
    there["again.lock.yaml"] = b""
    with pytest.raises(InputError, match="holds 2 networks"):
        pull("hf:me/gated", tmp_path / "net")
    hub.repositories["me/plain"] = {"model.safetensors": b""}
    with pytest.raises(InputError, match="holds no network of composer"):
        pull("hf:me/plain", tmp_path / "net")


def test_a_hub_that_does_not_answer_and_one_that_shows_a_token(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="the hub does not answer"):
        pull("hf:me/gated", tmp_path / "net")

    def leaks(*values: Any, **options: Any) -> None:
        raise ValueError("bad header: Bearer hf_secret, hf_othersecret")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", leaks)
    with pytest.raises(InputError) as caught:
        pull("hf:me/gated", tmp_path / "net")
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_command_line(hub: Hub, folder: Path, small: Path, tmp_path: Path, run: Any) -> None:
    done = run("push", folder, "hf:me/gated", "--message", "first", "--private")
    assert done.code == 0, done.err
    assert done.out.startswith(f"{hub.url}/me/gated/commit/")
    assert hub.messages == ["first"]
    done = run("pull", "hf:me/gated", "-o", tmp_path / "pulled")
    assert done.code == 0, done.err
    assert f"wrote {tmp_path / 'pulled' / 'gated.lock.yaml'}" in done.err
    # Weights that were trained further, in the network of a folder.
    done = run("push", tmp_path / "pulled", "hf:me/again", "--weights", folder / "gated.safetensors", "-q")
    assert done.code == 0, done.err
    assert b"the network started with `gated.safetensors`" in hub.repositories["me/again"]["README.md"]
    hub.requests.clear()
    done = run("push", small, "hf:me/small", "--dry-run", tmp_path / "dry", "--seed", "5")
    assert done.code == 0, done.err
    assert "nothing was uploaded" in done.err
    assert not hub.requests
    assert from_folder(tmp_path / "dry").seed == 5
    for words, found in (
        (("push", small, "hf:me/small", "--dry-run", tmp_path / "dry"), "exists"),
        (("push", small, "me/small"), "cannot read the repository"),
        (("pull", "hf:me/gated", "-o", tmp_path / "pulled"), "exists"),
        (("pull", "hf:me/gone", "-o", tmp_path / "gone"), "cannot fetch `hf:me/gone`"),
    ):
        done = run(*words)
        assert done.code == 1
        assert found in done.err
        assert "hf_secret" not in done.err
