"""Folders that stand alone: written, opened again, and refused when they are not what their lock says."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file

import composer
from composer import InputError, PluginError, WeightsError
from composer.artefacts import write
from composer.sharing import from_folder, write_folder
from composer.sharing.manifest import Manifest, is_safe
from composer.spec.dump import dump
from composer.spec.fingerprint import fingerprint

from .conftest import SPEC

GATE = '''
import composer
from beside_it import SIZE
from torch import Tensor, nn


@composer.mechanism("shared_gate", kind="spatial")
class SharedGate(nn.Module):
    """Rescale each position by a gate."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.logit = nn.Conv2d(channels, 1, SIZE)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.logit(x).sigmoid()
'''


def relock(folder: Path, **changes: Any) -> None:
    """Change the record of a lock, and let it say that its spec is as it is now."""
    (lock,) = folder.glob("*.lock.yaml")
    content = Manifest.read(lock).document.plain()
    content["lock"] |= changes
    content["lock"]["spec"] = fingerprint(content)
    lock.write_text(dump(content))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_folder_gives_the_network_with_its_weights(folder: Path) -> None:
    like = composer.build(SPEC, seed=3)
    model = from_folder(folder)
    assert model.training
    assert model.seed == 3
    assert list(model.state_dict()) == list(like.state_dict())
    assert all(torch.equal(one, like.state_dict()[key]) for key, one in model.state_dict().items())
    assert from_folder(str(folder), dtype=torch.float64).fc.weight.dtype == torch.float64
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "gated.graph.json",
        "gated.lock.yaml",
        "gated.safetensors",
        "gated.svg",
    ]


def test_a_network_trained_in_python_is_built_from_its_lock_with_its_weights(tmp_path: Path) -> None:
    model = composer.build(SPEC)
    with torch.no_grad():
        model.fc.bias.fill_(7)
    *_, lock = write_folder(model, tmp_path / "net")
    assert composer.build(lock).fc.bias.tolist() == [7, 7, 7]
    assert "started at random (seed 0)" in (tmp_path / "net" / "README.md").read_text()


def test_the_origin_is_kept_without_the_folders_it_was_in(folder: Path, tmp_path: Path) -> None:
    record = {
        "seed": 3,
        "files": {"/home/me/secret/net.yaml": "0", "specs/backbones/resnet10.yaml": "1"},
        "weights": {"source": "/home/me/secret/start.pth"},
        "composer": "0.0.1",
    }
    write_folder(from_folder(folder), tmp_path / "kept", record=record)
    found = Manifest.read(tmp_path / "kept" / "gated.lock.yaml").record
    assert found["files"] == {"net.yaml": "0", "specs/backbones/resnet10.yaml": "1"}
    assert found["weights"] == {"source": "start.pth"}
    assert found["composer"] == composer.__version__
    assert "started with `start.pth`" in (tmp_path / "kept" / "README.md").read_text()


def test_what_build_writes_is_such_a_folder_too(tmp_path: Path) -> None:
    model = composer.build({**SPEC, "outputs": {"c4": "layer3", "logits": "fc"}})
    write(model, tmp_path / "built")
    again = from_folder(tmp_path / "built")
    x = torch.randn(2, 3, 32, 32)
    found, like = again.eval()(x), model.eval()(x)
    assert all(torch.equal(found[name], like[name]) for name in ("c4", "logits"))


def test_the_card_is_valid_and_names_no_path_of_this_machine(folder: Path, tmp_path: Path) -> None:
    card = ModelCard.load(folder / "README.md")
    assert card.data.to_dict() == {
        "library_name": "attention-composer",
        "license": "mit",
        "pipeline_tag": "image-classification",
        "tags": ["attention-composer", "pytorch", "attention", "eca"],
    }
    graph = composer.compose(SPEC)
    assert f"| parameters | {graph.num_parameters:,} |" in card.text
    assert "| `eca` | `after branch` | 4 |" in card.text
    assert "composer pull hf:me/gated -o network" in card.text
    assert "arXiv:1910.03151" in card.text
    assert "](gated.svg)" in card.text
    for path in folder.iterdir():
        content = path.read_bytes()
        assert str(tmp_path.parent).encode() not in content
        assert str(Path(composer.__file__).parents[1]).encode() not in content


def test_a_card_says_what_the_paper_found_and_that_it_is_the_papers(tmp_path: Path) -> None:
    write_folder(composer.build("papers/eca/resnet50", vars={"num_classes": 2}), tmp_path / "net")
    text = (tmp_path / "net" / "README.md").read_text()
    assert "license:" not in text
    found = composer.load_spec("papers/eca/resnet50").published
    assert found is not None
    assert f"top-1 {found.top1} %" in text
    assert "**not** measured with these weights" in text


def test_a_text_cannot_change_a_card() -> None:
    from composer.sharing.card import plain

    assert plain("a\n# b <script> [x](y) `c` | d") == r"a \# b \<script\> \[x\](y) \`c\` \| d"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("net.safetensors", True),
        ("net.graph.json", True),
        ("plugins/gate.py", True),
        ("plugins/package/gate.py", True),
        ("../net.safetensors", False),
        ("/net.safetensors", False),
        ("plugins/../../gate.py", False),
        ("plugins\\gate.py", False),
        ("C:net.safetensors", False),
        ("other/net.safetensors", False),
        ("net.pt", False),
        ("pytorch_model.bin", False),
        ("gate.py", False),
        (".net.safetensors", False),
        ("net.safetensors\n", False),
        ("", False),
    ],
)
def test_only_files_of_a_network_may_be_named(name: str, safe: bool, folder: Path) -> None:
    assert is_safe(name) is safe
    if not safe:
        relock(folder, sha256={**Manifest.read(folder / "gated.lock.yaml").files, name: "0" * 64})
        with pytest.raises(InputError, match=r"is no file that a network may have|is not allowed"):
            from_folder(folder)


def refusal(folder: Path, kind: type[composer.ComposerError] = InputError, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        from_folder(folder, **options)
    return str(caught.value)


def test_a_changed_spec_is_refused(folder: Path) -> None:
    lock = folder / "gated.lock.yaml"
    text = lock.read_text()
    lock.write_text(text.replace("use: eca", "use: se"))
    found = refusal(folder)
    assert "the spec in `gated.lock.yaml` was changed after the lock was written" in found
    assert "gated.lock.yaml:" in found
    # Another layout of the same text is the same spec.
    lock.write_text("# A remark.\n" + text)
    from_folder(folder)


def test_a_spec_that_makes_another_network_is_refused_with_both_versions(folder: Path) -> None:
    lock = folder / "gated.lock.yaml"
    lock.write_text(lock.read_text().replace("use: eca", "use: se"))
    relock(folder, composer="0.0.1")
    found = refusal(folder)
    assert "it was written by composer 0.0.1, and this is" in found
    assert "pip install 'attention-composer==0.0.1'" in found
    # Another version that makes the same network is no obstacle.
    lock.write_text(lock.read_text().replace("use: se", "use: eca"))
    relock(folder, composer="0.0.1")
    from_folder(folder)


def test_missing_files_links_and_other_files_are_refused_all_at_once(folder: Path, tmp_path: Path) -> None:
    (folder / "gated.svg").unlink()
    from_folder(folder)
    elsewhere = tmp_path / "elsewhere.safetensors"
    shutil.move(folder / "gated.safetensors", elsewhere)
    (folder / "gated.safetensors").symlink_to(elsewhere)
    (folder / "gated.graph.json").unlink()
    found = refusal(folder)
    assert "`gated.safetensors` is a link" in found
    assert "`gated.graph.json` is missing" in found


def test_weights_that_were_replaced_are_refused(folder: Path) -> None:
    path = folder / "gated.safetensors"
    tensors = load_file(path)
    tensors["fc.bias"] += 1
    save_file(tensors, path)
    assert "`gated.safetensors` is not the file that the lock was written with" in refusal(folder)
    # Even with the right hash, every key must be the network's, and all of them there.
    tensors["other.weight"] = torch.zeros(1)
    save_file(tensors, path)
    files = Manifest.read(folder / "gated.lock.yaml").files
    relock(folder, sha256={**files, "gated.safetensors": digest(path)})
    assert "other.weight" in refusal(folder, WeightsError)
    del tensors["other.weight"], tensors["fc.bias"]
    save_file(tensors, path)
    relock(folder, sha256={**files, "gated.safetensors": digest(path)})
    assert "fc.bias" in refusal(folder, WeightsError)


def test_pickles_are_not_read(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"not a pickle at all")
    (folder / "gated.pt").write_bytes(b"neither")
    from_folder(folder)


def test_what_is_no_folder_of_a_network_is_said(folder: Path, tmp_path: Path) -> None:
    assert "there is no folder" in refusal(tmp_path / "gone")
    assert "is a file" in refusal(folder / "gated.svg")
    (tmp_path / "empty").mkdir()
    assert "holds no network" in refusal(tmp_path / "empty")
    shutil.copy(folder / "gated.lock.yaml", folder / "again.lock.yaml")
    assert "holds 2 networks: `again.lock.yaml`, `gated.lock.yaml`" in refusal(folder)
    from_folder(folder, lock="again.lock.yaml")
    assert "holds no `other.lock.yaml`, only" in refusal(folder, lock="other.lock.yaml")
    for text, words in (
        ("name: x\n", "has no record"),
        ("lock: {sha256: {}}\n", "names no files"),
        ("lock: {sha256: {a.safetensors: 3}}\n", "is no hash"),
        ("lock: {sha256: [a]}\n", "names no files"),
        ("- 1\n", "has no record"),
    ):
        (tmp_path / "empty" / "net.lock.yaml").write_text(text)
        assert words in refusal(tmp_path / "empty")


def test_plugin_files_go_along_with_what_they_import_and_run_only_if_allowed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "gate.py").write_text(GATE)
    (home / "beside_it.py").write_text("SIZE = 1\n")
    (home / "unused.py").write_text("")
    script = f"""
import composer, sys
from composer.sharing import write_folder, from_folder
if sys.argv[1] == "write":
    composer.registry.load_plugin({str(home / "gate.py")!r})
    model = composer.build({{**{SPEC!r}, "attention": [{{"use": "shared_gate", "after": "branch"}}]}})
    write_folder(model, {str(tmp_path / "net")!r})
else:
    try:
        from_folder({str(tmp_path / "net")!r})
    except composer.PluginError as error:
        print(error)
    assert "beside_it" not in sys.modules
    model = from_folder({str(tmp_path / "net")!r}, allow_code=True)
    print(type(model.layer1[0].shared_gate).__name__)
"""

    def run(word: str) -> str:
        done = subprocess.run([sys.executable, "-c", script, word], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("write")
    files = sorted(path.relative_to(tmp_path / "net").as_posix() for path in (tmp_path / "net").rglob("*.py"))
    assert files == ["plugins/beside_it.py", "plugins/gate.py"]
    assert "runs code" in (tmp_path / "net" / "README.md").read_text()
    assert str(home) not in (tmp_path / "net" / "gated.lock.yaml").read_text()
    shutil.rmtree(home)
    found = run("read")
    assert "the network needs the plugin `plugins/gate.py`, which is code of whoever wrote this folder" in found
    assert found.endswith("SharedGate\n")


def test_blocks_of_a_plugin_in_yaml_are_data(tmp_path: Path) -> None:
    plugin = Path(composer.__file__).parents[1] / "examples" / "large_kernel.yaml"
    composer.registry.load_plugin(plugin)
    model = composer.build({**SPEC, "attention": [{"use": "large_kernel", "after": "branch", "where": "stage == 1"}]})
    write_folder(model, tmp_path / "net")
    assert (tmp_path / "net" / "plugins" / "large_kernel.yaml").exists()
    again = from_folder(tmp_path / "net")
    assert list(again.state_dict()) == list(model.state_dict())


def test_a_plugin_that_is_not_there_or_another_is_said(folder: Path) -> None:
    for written in ({"version": "1.0", "sha256": ""}, {"sha256": ["a"]}, None):
        relock(folder, plugins={"some_package": written})
        assert "the network needs the plugin `some_package`, which is not there" in refusal(folder, PluginError)


def test_records_that_make_no_sense_are_no_bug(folder: Path) -> None:
    for changes in ({"seed": -1}, {"seed": "x"}, {"plugins": 3}, {"composer": [1]}, {"seed": 10**30}):
        relock(folder, **changes)
        from_folder(folder)
    relock(folder, sha256={f"{number}.svg": "0" * 64 for number in range(300)})
    assert "at most 256" in refusal(folder)


def test_what_was_changed_by_hand_is_not_written(tmp_path: Path) -> None:
    model = composer.build(SPEC)
    model.layer1[0].act1 = torch.nn.GELU()
    with pytest.raises(InputError, match="was changed by hand"):
        write_folder(model, tmp_path / "net")
    assert not (tmp_path / "net").exists()
    with pytest.raises(InputError, match="a Linear is no composed network"):
        write_folder(torch.nn.Linear(1, 1), tmp_path / "net")  # type: ignore[arg-type]


def test_nothing_is_left_of_a_folder_that_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    model = composer.build(SPEC)

    def stopped(*values: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("composer.sharing.folder.card", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_folder(model, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    before = {path.name: digest(path) for path in folder.iterdir()}
    with pytest.raises(InputError, match="exists"):
        write_folder(model, folder)
    with pytest.raises(KeyboardInterrupt):
        write_folder(model, folder, force=True)
    assert {path.name: digest(path) for path in folder.iterdir()} == before


def test_names_of_other_alphabets_become_plain_file_names(tmp_path: Path) -> None:
    written = write_folder(composer.build({**SPEC, "name": "сеть/α net"}), tmp_path / "net")
    assert written[-1].name == "_______net.lock.yaml"
    assert from_folder(tmp_path / "net").spec.name == "сеть/α net"


def test_the_graph_of_a_folder_is_read_with_care(folder: Path) -> None:
    graph = folder / "gated.graph.json"
    files = Manifest.read(folder / "gated.lock.yaml").files
    for text in ("[" * 100_000, "{}", "\xff", json.dumps({"nodes": [1]})):
        graph.write_bytes(text.encode("latin-1"))
        relock(folder, sha256={**files, graph.name: digest(graph)})
        assert "gated.graph.json" in refusal(folder)
