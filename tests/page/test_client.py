"""The bundle that is shipped is what its sources build to."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "composer/page"
CLIENT = PAGE / "client"
MOST_BYTES = 125_000


def hash_of_sources() -> str:
    files = [CLIENT / "package.json", CLIENT / "package-lock.json", *(CLIENT / "src").rglob("*")]
    names = sorted(file.relative_to(CLIENT).as_posix() for file in files if file.is_file())
    found = hashlib.sha256()
    for name in names:
        found.update(f"{name}\0".encode() + (CLIENT / name).read_bytes() + b"\0")
    return found.hexdigest()


@pytest.mark.parametrize("name", ["client.js", "client.css", "boot.js"])
def test_the_bundle_is_of_these_sources(name):
    head, _, body = (PAGE / name).read_bytes().partition(b"\n")
    match = re.fullmatch(rb"/\* sources ([0-9a-f]{64}) body ([0-9a-f]{64}) \*/", head)
    assert match, "the first line says what it was built from"
    hint = "the sources have changed: run `npm ci && npm run build` in composer/page/client"
    assert match[1].decode() == hash_of_sources(), hint
    assert match[2].decode() == hashlib.sha256(body).hexdigest(), "nobody edits a bundle by hand"


@pytest.mark.parametrize("name", ["client.js", "client.css", "boot.js"])
def test_the_bundle_can_stand_in_a_page(name):
    text = (PAGE / name).read_text(encoding="utf-8")
    assert "</" not in text
    assert "<!--" not in text
    assert "sourceMappingURL" not in text
    assert len(text.encode()) < MOST_BYTES


def test_nothing_makes_markup_of_data():
    forbidden = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser")
    # What `boot.js` writes is a page that was written whole, and not data.
    for file in {*(CLIENT / "src").rglob("*.js")} - {CLIENT / "src/boot.js"}:
        assert not forbidden.search(file.read_text(encoding="utf-8")), file.name


@pytest.mark.parametrize("tool", ["typescript/bin/tsc", "@biomejs/biome/bin/biome check"])
def test_the_script_is_sound(tool):
    """Its types, those of what Python writes (`types.js`) among them; its style, and what is easily meant otherwise."""
    script, *words = tool.split()
    node, path = shutil.which("node"), CLIENT / "node_modules" / script
    if node is None or not path.is_file():
        pytest.skip("needs node, and `npm ci` in composer/page/client")
    done = subprocess.run([node, str(path), *words], cwd=CLIENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_building_gives_the_same_bytes(tmp_path):
    node = shutil.which("node")
    if node is None or not (CLIENT / "node_modules/esbuild").is_dir():
        pytest.skip("needs node, and `npm ci` in composer/page/client")
    subprocess.run([node, str(CLIENT / "build.mjs"), str(tmp_path)], check=True, capture_output=True)
    for name in ("client.js", "client.css", "boot.js"):
        assert (tmp_path / name).read_bytes() == (PAGE / name).read_bytes()
