"""The part of the Hugging Face Hub's HTTP interface that pushing and pulling use, here for the real client."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

COMMIT = "c" * 40


@dataclass
class Hub:
    """Repositories by name, each a mapping of file names to contents; what was asked for, and lies that are told.

    told    name of a file -> the size that the hub tells
    served  name of a file -> what is sent in its place
    broken  names of files in whose middle the connection ends
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    told: dict[str, int | None] = field(default_factory=dict)
    served: dict[str, bytes] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    url: str = ""


@contextmanager
def running() -> Iterator[Hub]:
    """A hub that answers on this machine until the context ends."""
    hub = Hub()

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def path_of(self) -> list[str]:
        """The parts of the path that is asked for."""
        self.state.requests.append(f"{self.command} {self.path}")
        self.state.tokens.add(self.headers.get("Authorization", ""))
        return [urllib.parse.unquote(one) for one in urllib.parse.urlsplit(self.path).path.strip("/").split("/")]

    def answer(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Send JSON, or bytes as they are."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str) -> None:
        """Send an error as the hub does."""
        self.answer({"error": code}, status, {"X-Error-Code": code, "X-Error-Message": code})

    def do_HEAD(self) -> None:
        """A file's size and hash."""
        self.do_GET()

    def do_GET(self) -> None:
        """What a repository holds, or a file of it."""
        parts = self.path_of()
        if parts[:2] == ["api", "models"]:
            self.info("/".join(parts[2:4]), parts[4:])
        elif parts[2:3] == ["resolve"]:
            self.file("/".join(parts[:2]), "/".join(parts[4:]))
        else:
            self.refuse(404, "EntryNotFound")

    def info(self, name: str, rest: list[str]) -> None:
        """A repository, or the revision of one, or the tree of one."""
        files = self.state.repositories.get(name)
        if files is None:
            return self.refuse(404, "RepoNotFound")
        if rest[:1] == ["revision"] and rest[1] not in ("main", "v1", COMMIT):
            return self.refuse(404, "RevisionNotFound")
        sizes = {one: self.state.told.get(one, len(content)) for one, content in files.items()}
        if rest[:1] == ["tree"]:
            return self.answer([{"type": "file", "path": one, "size": size, "oid": "0"} for one, size in sizes.items()])
        siblings = [{"rfilename": one, "size": size, "blobId": "0"} for one, size in sizes.items()]
        about = {"id": name, "modelId": name, "sha": COMMIT, "private": self.state.private.get(name, False)}
        return self.answer({**about, "siblings": siblings, "tags": []})

    def file(self, repository: str, name: str) -> None:
        """The content of a file."""
        content = self.state.repositories.get(repository, {}).get(name)
        if content is None:
            return self.refuse(404, "EntryNotFound")
        content = self.state.served.get(name, content)
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}
        if self.command == "GET" and name in self.state.broken:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return None
        return self.answer(content, headers=headers)

    def do_POST(self) -> None:
        """Make a repository, or commit to one."""
        parts = self.path_of()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name = "/".join(parts[2:4])
        if parts[:3] == ["api", "repos", "create"]:
            asked = json.loads(body)
            name = "/".join(one for one in (asked.get("organization"), asked["name"]) if one)
            known = name in self.state.repositories
            self.state.repositories.setdefault(name, {})
            if not known:
                self.state.private[name] = asked.get("private") is True or asked.get("visibility") == "private"
            self.answer({"url": f"{self.state.url}/{name}", "name": name, "id": "0"}, 409 if known else 200)
        elif parts == ["api", "validate-yaml"]:
            # The hub looks at the front matter of a card before it takes it.
            front = yaml.safe_load(json.loads(body)["content"].split("---")[1])
            wrong = [] if isinstance(front.get("tags"), list) else [{"message": "tags must be a list"}]
            self.answer({"errors": wrong, "warnings": []}, 400 if wrong else 200)
        elif parts[4:5] == ["preupload"]:
            files = [one["path"] for one in json.loads(body)["files"]]
            self.answer({"files": [{"path": one, "uploadMode": "regular", "shouldIgnore": False} for one in files]})
        elif parts[4:5] == ["commit"]:
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "header":
                    self.state.messages.append(entry["value"]["summary"])
                else:
                    value = entry["value"]
                    self.state.repositories[name][value["path"]] = base64.b64decode(value["content"])
            url = f"{self.state.url}/{name}/commit/{COMMIT}"
            self.answer({"commitUrl": url, "commitOid": COMMIT, "success": True, "hookOutput": ""})
        else:
            self.refuse(404, "EntryNotFound")
