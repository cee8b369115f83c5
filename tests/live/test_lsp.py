"""The language server, spoken to as an editor speaks to it."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from composer.spec import zoo

pytest.importorskip("pygls")
from lsprotocol import types

from tests.live.editor import Buffer, Connection, connected

SPEC = """\
backbone: resnet18
vars: {num_classes: 10}
attention:
  - {use: cbam, after: branch}
"""


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with connected() as found:
        yield found


@pytest.fixture
def buffer(connection: Connection, tmp_path: Path) -> Buffer:
    return Buffer(connection, tmp_path / "net.yaml")


def test_a_mistake_is_told_at_its_place_and_mended(buffer: Buffer) -> None:
    (wrong,) = buffer.write(SPEC.replace("cbam", "cbma"))
    assert wrong.code == "unknown-mechanism"
    assert (wrong.range.start.line, wrong.range.start.character, wrong.range.end.character) == (3, 10, 14)
    assert "did you mean `cbam`?" in wrong.message
    (fix,) = buffer.actions(wrong.range)
    assert fix.title == "write `cbam` in place of `cbma`"
    (edit,) = fix.edit.changes[buffer.uri]
    assert (edit.range, edit.new_text) == (wrong.range, "cbam")
    assert not buffer.write(SPEC)
    assert not buffer.actions(wrong.range)


def test_inlays_follow_the_text(buffer: Buffer) -> None:
    buffer.write(SPEC)
    assert buffer.inlays() == ["3:30 8 places, +89.9 k"]
    buffer.write(SPEC.replace("branch}", "branch, where: last}"))
    assert buffer.inlays() == ["3:43 1 place, +33.4 k"]
    # What it was, while it is no network.
    assert [one.code for one in buffer.write(SPEC.replace("branch}", "brnch}"))] == ["no-match"]
    assert buffer.inlays() == ["3:29 was 1 place, +33.4 k"]


def test_hover_definition_and_completion(buffer: Buffer) -> None:
    buffer.write(SPEC)
    assert "8 places: +89.9 k parameters" in buffer.hover(3, 24)
    assert "Woo et al." in buffer.hover(3, 12)
    (place,) = buffer.definitions(0, 12)
    network = zoo.find("resnet18")
    assert network is not None
    assert place.uri == network.resolve().as_uri()
    items = {one.label: one for one in buffer.completions(3, 25)}
    assert items["branch"].detail == "8 places"
    edit = items["shortcut"].text_edit
    assert (edit.range.start.character, edit.range.end.character, edit.new_text) == (23, 29, "shortcut")
    assert {"replace", "with"} <= {one.label for one in buffer.completions(3, 18)}


def test_columns_are_counted_as_the_editor_counts_them(buffer: Buffer, connection: Connection) -> None:
    assert connection.capabilities is not None
    assert connection.capabilities.position_encoding in (None, "utf-16")
    # Two code units, one character.
    (wrong,) = buffer.write('backbone: resnet18\nattention: [{description: "\U0001f600", use: cbma, after: branch}]\n')
    assert (wrong.range.start.line, wrong.range.start.character, wrong.range.end.character) == (1, 37, 41)
    assert "channel+spatial" in buffer.hover(1, 38) or buffer.write(SPEC) is not None


def test_other_yaml_is_left_alone(buffer: Buffer, connection: Connection) -> None:
    buffer.put("services:\n  web: {image: nginx}\n")
    assert buffer.inlays() == []
    assert not any(one.uri == buffer.uri for one in connection.told)
    assert buffer.completions(1, 3) == []
    # It becomes one, and then is none again.
    buffer.version += 1
    assert [one.code for one in buffer.write("backbone: resnet5\n")] == ["unknown-backbone"]
    buffer.put("image: nginx\n")
    assert buffer.inlays() == []
    assert [*connection.told[-1].diagnostics] == []


def test_nothing_is_completed_twice_beside_yaml_language_server(buffer: Buffer) -> None:
    text = "# yaml-language-server: $schema=composer.schema.json\n" + SPEC
    buffer.write(text)
    assert buffer.completions(4, 11) == []
    assert "branch" in {one.label for one in buffer.completions(4, 25)}


def test_typing_is_followed(buffer: Buffer) -> None:
    buffer.write(SPEC)
    taken = []
    for width in (8, 4, 2, 8):
        start = time.perf_counter()
        assert not buffer.write(SPEC.replace("branch}", f"branch, with: {{reduction: {width}}}}}"))
        taken.append(time.perf_counter() - start)
    # 0.3 s on a quiet machine.
    assert min(taken) < 1


def test_of_texts_that_change_fast_the_last_is_told(buffer: Buffer, connection: Connection) -> None:
    for index in range(30):
        buffer.put(SPEC.replace("cbam", f"cbam{index}"))
    assert not buffer.write(SPEC)
    told = [one.version for one in connection.told if one.uri == buffer.uri]
    assert told == sorted(told)
    assert told[-1] == buffer.version


def test_the_preview_follows_the_text_that_is_not_saved(buffer: Buffer, connection: Connection) -> None:
    buffer.write(SPEC)
    asked = types.ExecuteCommandParams("composer.preview", [buffer.uri])
    address = connection.run(connection.client.workspace_execute_command_async(asked))
    assert [one.uri for one in connection.shown if one.external] == [address]
    parts = urlsplit(address)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=90)) as browser:

        def state() -> dict[str, Any]:
            browser.request("GET", f"{parts.path}events")
            answer = browser.getresponse()
            found = json.loads(answer.readline().decode().removeprefix("data: "))
            answer.close()
            browser.close()
            return found

        before = state()
        assert (before["name"], before["problems"]) == ("net.yaml", [])
        buffer.write(SPEC.replace("cbam", "se"))
        assert state()["picture"] == before["picture"] + 1
        assert "se" in state()["changes"]
        browser.request(
            "POST", f"{parts.path}goto", json.dumps({"path": "layer1.0.se"}), {"Origin": f"http://{parts.netloc}"}
        )
        assert "use: se" in browser.getresponse().read().decode()
    deadline = time.monotonic() + 30
    while not (shown := [one for one in connection.shown if not one.external]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [(one.uri, one.selection.start.line) for one in shown if one.selection] == [(buffer.uri, 3)]


def test_a_preview_of_no_spec_is_a_sentence(connection: Connection) -> None:
    asked = types.ExecuteCommandParams("composer.preview", ["file:///nothing.yaml"])
    assert connection.run(connection.client.workspace_execute_command_async(asked)) is None


def test_an_editor_that_is_gone_ends_the_server() -> None:
    message = b"Content-Length: 2\r\n\r\n{}"
    done = subprocess.run([sys.executable, "-m", "composer", "lsp"], input=message, capture_output=True, timeout=90)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def test_without_its_package_the_extra_is_named(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygls", None)
    refused = run("lsp")
    assert refused.code == 3
    assert "attention-composer[lsp]" in refused.err
