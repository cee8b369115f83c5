"""Serves the preview of a text to browsers on this machine, and to nobody else.

It listens on 127.0.0.1. Every address begins with a token that nobody can guess; a request must name this server as its
host, and if it says which page sent it, that must be a page of this server. So neither another user of the machine nor
a page of another site can read or ask anything.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import hmac
import json
import os
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from composer.errors import Diagnostic, InputError, Location
from composer.live.state import State

HOST = "127.0.0.1"
# Names by which a browser may call this machine.
NAMES = (HOST, "localhost")
# Bytes of a question; a path of a node is shorter.
MOST_ASKED = 4096
# Seconds until a connection that stands still is looked at: a browser that left is found then.
PULSE = 10.0
# Browsers that may listen at once.
MOST_LISTENERS = 32

_FOLDER = Path(__file__).parent
_HIDDEN = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

# Called with a place in a text, from a thread of the server.
GoTo = Callable[[Location], None]


@dataclass
class Preview:
    """A server of one text.

    state  what it shows
    go_to  shows a place to whoever writes the text; None: only the browser is told
    port   where it listens; 0: where there is room
    """

    state: State
    go_to: GoTo | None = None
    port: int = 0
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    listeners: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MOST_LISTENERS))
    _server: ThreadingHTTPServer | None = None

    @property
    def address(self) -> str:
        """The address of its page."""
        return f"http://{HOST}:{self.port}/{self.token}/"

    def start(self) -> None:
        """Listen. Raises InputError if the port is not free."""
        try:
            self._server = _Server((HOST, self.port), type("_Handler", (_Handler,), {"preview": self}))
        except (OSError, OverflowError) as error:
            raise InputError(_not_free(self.port, error)) from error
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="composer.preview", daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self.state.close()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A listener would be waited for.
    block_on_close = False
    # On Windows it would let two servers share a port.
    allow_reuse_address = os.name != "nt"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that left is no news."""


class _Handler(BaseHTTPRequestHandler):
    preview: Preview
    timeout = PULSE
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "composer", ""

    def do_GET(self) -> None:
        """The page around the picture, the picture, and what is told as it changes."""
        what = self._asked()
        if what == "":
            self._answer(_around(self.preview.state.name), "text/html; charset=utf-8", _policy())
        elif what == "page":
            # The picture keeps its own policy, which it has in a file too.
            page = self.preview.state.page()
            self._answer(page, "text/html; charset=utf-8", {"Content-Security-Policy": "frame-ancestors 'self'"})
        elif what == "events":
            self._tell()
        elif what is not None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")

    def do_POST(self) -> None:
        """The line of a node or of a problem."""
        what = self._asked(must_say_whence=True)
        if what is None:
            return
        length = self.headers.get("Content-Length", "")
        if what != "goto" or not length.isdecimal() or int(length) > MOST_ASKED:
            self._refuse(HTTPStatus.BAD_REQUEST, "this is no question that a preview answers")
            return
        try:
            asked = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            asked = None
        location = self.preview.state.line_of(asked)
        if location is None:
            self._refuse(HTTPStatus.NOT_FOUND, "the text has no line for it")
            return
        if self.preview.go_to is not None:
            self.preview.go_to(location)
        line = location.source.line(location.line).strip()
        text = f"{Path(location.source.name).name}:{location.line}  {line}"
        self._answer(json.dumps({"text": text}).encode(), "application/json", {})

    def _asked(self, *, must_say_whence: bool = False) -> str | None:
        """What is asked for, behind the token; None if it was refused."""
        port = self.preview.port
        hosts = [f"{name}:{port}" for name in NAMES]
        origin, site = self.headers.get("Origin"), self.headers.get("Sec-Fetch-Site", "none")
        whence = (origin is None and not must_say_whence) or origin in [f"http://{host}" for host in hosts]
        if self.headers.get("Host") not in hosts or not whence or site not in ("none", "same-origin"):
            self._refuse(HTTPStatus.FORBIDDEN, "this preview answers only its own pages")
            return None
        _, token, *rest = self.path.partition("?")[0].split("/")
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self.preview.token.encode()):
            self._refuse(HTTPStatus.FORBIDDEN, "the address lacks the token that composer printed")
            return None
        return "/".join(rest)

    def _tell(self) -> None:
        """Tell the state, and each change of it, until the browser leaves."""
        if not self.preview.listeners.acquire(blocking=False):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many pages listen")
            return
        try:
            self.close_connection = True
            self._head(HTTPStatus.OK, "text/event-stream", {"Connection": "close"})
            version: int | None = -1
            while version is not None:
                known, version = version, self.preview.state.wait(version, PULSE)
                if version is not None:
                    told = f"data: {json.dumps(self.preview.state.to_json())}" if version != known else ":"
                    self.wfile.write(f"{told}\n\n".encode())
                    self.wfile.flush()
        finally:
            self.preview.listeners.release()

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        # What the request still holds is not read.
        self.close_connection = True
        self._answer(f"{text}\n".encode(), "text/plain; charset=utf-8", {"Connection": "close"}, status)

    def _answer(self, body: bytes, kind: str, more: Mapping[str, str], status: HTTPStatus = HTTPStatus.OK) -> None:
        self._head(status, kind, {**more, "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _head(self, status: HTTPStatus, kind: str, more: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **_HIDDEN, **more}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: addresses hold the token."""


def _not_free(port: int, error: Exception) -> Diagnostic:
    """The problem of a port that cannot be had."""
    known = {errno.EADDRINUSE: "is in use", errno.EACCES: "is not for everybody"}
    words = known.get(getattr(error, "errno", None) or 0, "cannot be had")
    help = ("name another one, or none: composer then takes one that is free",)
    return Diagnostic("port", f"port {port} of this machine {words}", label="a free port", help=help)


@cache
def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _policy() -> dict[str, str]:
    """What the page around the picture may do: ask this server, and frame its picture."""
    allowed = [
        "default-src 'none'",
        f"script-src {_hash(_read('preview.js'))}",
        f"style-src {_hash(_read('preview.css'))}",
        "connect-src 'self'",
        "frame-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    return {"Content-Security-Policy": "; ".join(allowed)}


def _around(name: str) -> bytes:
    """The page around the picture."""
    from composer.html import words

    lines = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">',
        f"<title>{words(name)}</title><style>{_read('preview.css')}</style></head><body>",
        f'<header><h1 id="name">{words(name)}</h1><span id="status" role="status"></span></header>',
        '<ul id="problems" aria-label="What is wrong with the text"></ul>',
        '<details id="changed" hidden><summary>changes</summary><pre id="changes" tabindex="0"></pre></details>',
        '<iframe id="picture" title="The last good picture"></iframe>',
        f"<script>{_read('preview.js')}</script></body></html>",
    ]
    return "\n".join(lines).encode("utf-8", "replace")
