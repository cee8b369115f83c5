"""The preview of a file that is being written, asked as a browser asks, and as others should not."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from composer.errors import InputError, Location
from composer.live.preview import Preview
from composer.live.reading import Reader
from composer.live.state import State
from composer.live.watching import Watched

SPEC = "backbone: resnet18\nattention:\n  - {use: cbam, after: branch}\n"
WRONG = SPEC.replace("cbam", "cbma")


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


@contextmanager
def served(state: State, **settings: Any) -> Iterator[Preview]:
    preview = Preview(state, **settings)
    preview.start()
    try:
        yield preview
    finally:
        preview.close()


def ask(
    preview: Preview, path: str, method: str = "GET", body: object = None, **headers: str
) -> tuple[int, str, http.client.HTTPMessage]:
    with closing(http.client.HTTPConnection("127.0.0.1", preview.port, timeout=60)) as connection:
        connection.putrequest(method, path, skip_host="Host" in headers)
        data = b"" if body is None else json.dumps(body).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"Content-Length": str(len(data)), **given}.items():
            connection.putheader(name, value)
        connection.endheaders(data)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers


def states(preview: Preview, count: int) -> list[dict[str, Any]]:
    """The first states that a listener is told."""
    found: list[dict[str, Any]] = []
    with closing(http.client.HTTPConnection("127.0.0.1", preview.port, timeout=60)) as connection:
        connection.request("GET", f"/{preview.token}/events")
        answer = connection.getresponse()
        while len(found) < count and (line := answer.readline().decode()):
            if line.startswith("data: "):
                found.append(json.loads(line.removeprefix("data: ")))
    return found


def test_the_last_good_picture_stays(reader: Reader) -> None:
    state = State("net.yaml")
    with served(state) as preview:
        state.show(reader.compose(reader.read(SPEC)))
        (told,) = states(preview, 1)
        assert (told["problems"], told["status"], told["changes"]) == ([], "11.8 M parameters", "")
        status, page, headers = ask(preview, f"/{preview.token}/page?1")
        assert status == 200
        # The policy that a saved page has.
        assert "default-src 'none'" in page
        assert headers["Content-Security-Policy"] == "frame-ancestors 'self'"

        state.keep()
        state.show(reader.compose(reader.read(WRONG)))
        (wrong,) = states(preview, 1)
        assert "did you mean `cbam`?" in wrong["problems"][0]
        assert wrong["status"] == "1 mistake; the picture is the last good one"
        assert wrong["picture"] == told["picture"]

        state.show(reader.compose(reader.read(SPEC.replace("cbam", "se"))))
        (better,) = states(preview, 1)
        assert better["problems"] == []
        assert better["picture"] == told["picture"] + 1
        assert "cbam" in better["changes"]
        assert ask(preview, f"/{preview.token}/page?2")[1] != page


def test_before_there_is_a_good_one_what_can_be_drawn_is(reader: Reader) -> None:
    for text in (WRONG, "backbone: [\n", ""):
        state = State("net.yaml")
        state.show(reader.compose(reader.read(text)))
        page = state.page().decode()
        assert page.startswith("<!doctype html>")
        assert "mistake" in page


def test_where_nothing_can_be_drawn_its_mistake_is(tmp_path: Path) -> None:
    """As of a model that cannot be made."""
    reader = Reader(allow_code=True)
    state = State("net.yaml")
    state.show(reader.compose(reader.read("backbone: {python: 'collections:namedtuple'}\n", tmp_path / "net.yaml")))
    page = state.page().decode()
    assert "cannot be made" in page
    assert "could not be drawn" not in page


def test_a_click_goes_to_the_line(reader: Reader) -> None:
    state, went = State("net.yaml"), list[Location]()
    text = "input: [3, 8, 8]\nnodes:\n  first: relu\n  second: sigmoid\n"
    with served(state, go_to=went.append) as preview:
        state.show(reader.compose(reader.read(text, Path("net.yaml"))))
        origin = f"http://127.0.0.1:{preview.port}"
        status, answer, _ = ask(preview, f"/{preview.token}/goto", "POST", {"path": "second"}, Origin=origin)
        assert (status, json.loads(answer)) == (200, {"text": "net.yaml:4  second: sigmoid"})
        assert [one.line for one in went] == [4]
        for nothing in ({"path": "third"}, {"problem": 0}, {"problem": True}, [], None, "x", {"path": 1}):
            assert ask(preview, f"/{preview.token}/goto", "POST", nothing, Origin=origin)[0] == 404
        assert len(went) == 1


def test_only_its_own_pages_are_answered(reader: Reader) -> None:
    state = State("net.yaml")
    state.show(reader.compose(reader.read(SPEC)))
    with served(state) as preview:
        own, page = f"127.0.0.1:{preview.port}", f"/{preview.token}/"
        assert preview.address == f"http://{own}{page}"
        assert ask(preview, page)[0] == 200
        assert ask(preview, page, Host=f"localhost:{preview.port}")[0] == 200
        refused = [
            ask(preview, "/"),
            ask(preview, "/wrong/"),
            ask(preview, f"/{preview.token[:-1]}/page"),
            # A name that someone else's server gave this machine.
            ask(preview, page, Host=f"evil.example:{preview.port}"),
            ask(preview, page, Host="127.0.0.1"),
            ask(preview, page, Origin="http://evil.example"),
            ask(preview, page, Origin="null"),
            ask(preview, page, Sec_Fetch_Site="cross-site"),
            ask(preview, f"{page}goto", "POST", {"path": "layer1"}),
        ]
        assert {status for status, _, _ in refused} == {403}
        assert not any(preview.token in text for _, text, _ in refused)
        origin = f"http://{own}"
        assert ask(preview, f"{page}../etc/passwd")[0] == 404
        assert ask(preview, f"{page}goto", "POST", "x" * 5000, Origin=origin)[0] == 400
        assert ask(preview, f"{page}goto", "POST", Origin=origin, Content_Length="-1")[0] == 400
        assert ask(preview, page, "PUT")[0] == 501
        policy = ask(preview, page)[2]["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        # It listens on this machine alone.
        assert preview._server is not None
        assert preview._server.server_address[0] == "127.0.0.1"


def test_a_port_in_use_is_a_sentence() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} of this machine is in use"):
            Preview(State("x"), port=port).start()


def test_a_browser_that_leaves_is_forgotten(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("composer.live.preview.PULSE", 0.05)
    with served(State("net.yaml"), listeners=threading.Semaphore(2)) as preview:
        # More than may listen at once, one after another; each is forgotten when its pulse fails.
        deadline = time.monotonic() + 60
        heard = 0
        while heard < 6 and time.monotonic() < deadline:
            heard += len(states(preview, 1))
        assert heard == 6


def test_a_file_that_goes_and_comes_back(reader: Reader, tmp_path: Path) -> None:
    path, base = tmp_path / "net.yaml", tmp_path / "base.yaml"
    base.write_text(SPEC)
    path.write_text("backbone: base.yaml\n")
    watched = Watched(path, reader)
    assert watched.look()
    assert watched.reading is not None
    assert watched.reading.graph is not None
    assert not watched.look()

    # A file that it refers to.
    base.write_text(WRONG + "# longer\n")
    assert watched.look()
    assert [one.code for one in watched.reading.problems] == ["unknown-mechanism"]

    path.unlink()
    assert not watched.look()
    assert watched.look()
    assert watched.is_gone
    assert not watched.look()
    path.write_bytes(b"\xff\xfe\x00")
    assert watched.look()
    assert not watched.is_gone
    assert [one.code for one in watched.reading.problems] == ["yaml-encoding"]
    path.write_text(SPEC)
    assert watched.look()
    assert watched.reading.problems == ()


def test_the_command(tmp_path: Path, run) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(SPEC)
    # What starts the tests in the background makes them, and what they start, deaf to SIGINT.
    heard = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heard}; sys.argv = ['composer', 'watch', {str(path)!r}]; from composer.__main__ import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = map(str.strip, iter(process.stderr.readline, ""))
        assert next(said).startswith(f"watching {path}: http://127.0.0.1:")
        assert next(said) == f"{path}: fine, 11,779,384 parameters"
        path.write_text(WRONG)
        assert next(said) == "error[unknown-mechanism]: unknown mechanism `cbma`"
        assert any("did you mean `cbam`?" in line for line in said)
        path.unlink()
        assert "--plugin FILE" in next(said)
        assert next(said) == f"{path} is gone; what is shown is the last of it, until it is back"
        path.write_text(SPEC)
        assert [next(said), next(said)] == [f"{path} is back", f"{path}: fine, 11,779,384 parameters"]
        process.send_signal(signal.SIGINT)
        assert list(said) == [f"{path} is watched no more"]
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_file_that_is_not_there_is_a_sentence(run, tmp_path: Path) -> None:
    missing = run("watch", tmp_path / "gone.yaml")
    assert missing.code == 1
    assert "there is no file" in missing.err
