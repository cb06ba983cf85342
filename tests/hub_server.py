"""A hub on the loopback: enough of the real one's endpoints to search and download, and ways to misbehave."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.loopback_server import serving

COMMIT = "c0ffee00" * 5
TOKEN = "hf_" + "loopback" * 4
PIECE = 16 * 1024


@dataclass
class Repository:
    """A model on the server: its files, and what the listing tells of it."""

    id: str
    files: dict[str, bytes]
    downloads: int = 10
    likes: int = 1
    gated: bool = False
    private: bool = False
    tags: list[str] = field(default_factory=lambda: ["safetensors"])
    config: dict[str, Any] = field(default_factory=lambda: {"model_type": "llama"})
    parameters: dict[str, int] = field(default_factory=lambda: {"BF16": 1000})

    def tree(self) -> dict[str, Any]:
        return {
            "_id": self.id, "id": self.id, "modelId": self.id, "sha": COMMIT, "private": self.private,
            "gated": "manual" if self.gated else False, "downloads": self.downloads, "likes": self.likes,
            "tags": self.tags, "config": self.config, "lastModified": "2026-01-02T03:04:05.000Z",
            "library_name": "transformers", "pipeline_tag": "text-generation",
            "safetensors": {"parameters": self.parameters, "total": sum(self.parameters.values())},
        }  # fmt: skip

    def siblings(self) -> list[dict[str, Any]]:
        return [
            {"rfilename": name, "size": len(data), "blobId": git_id(data)}
            | ({"lfs": lfs(data)} if is_lfs(name) else {})
            for name, data in self.files.items()
        ]

    def listing(self) -> list[dict[str, Any]]:
        return [
            {"type": "file", "path": name, "size": len(data), "oid": git_id(data)}
            | ({"lfs": {"oid": sha256(data), "size": len(data), "pointerSize": 130}} if is_lfs(name) else {})
            for name, data in self.files.items()
        ]


def is_lfs(name: str) -> bool:
    return name.endswith((".safetensors", ".bin", ".gguf"))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def lfs(data: bytes) -> dict[str, Any]:
    return {"sha256": sha256(data), "size": len(data), "pointerSize": 130}


@dataclass
class Request:
    """What was asked, and how many bytes of a file were answered from which byte on."""

    method: str
    path: str
    start: int = 0
    sent: int = 0
    authorized: bool = False


class HubServer:
    """The server's state. ``break_after`` cuts the first so many connections to a weight file after some bytes."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []
        self.break_after = 0
        self.breaks_left = 0
        self.bytes_per_second = 0.0
        self.status: dict[str, int] = {}  # path prefix -> the HTTP status it answers with
        self.ignores_range = False
        self.refuses_range = False
        self.corrupts = False
        self.lock = threading.Lock()
        self.address = ""

    def add(self, repository: Repository) -> Repository:
        self.repositories[repository.id] = repository
        return repository

    def note(self, request: Request) -> None:
        with self.lock:
            self.requests.append(request)

    def fetched(self, name: str) -> list[tuple[int, int]]:
        """(first byte, bytes sent) of every answer with a piece of the file, in order."""
        return [(r.start, r.sent) for r in self.requests if r.method == "GET" and r.path.endswith("/" + name)]

    def takes_break(self) -> bool:
        with self.lock:
            self.breaks_left -= 1
            return self.breaks_left >= 0


@contextmanager
def hub_server(kind: type[HubHandler] | None = None) -> Iterator[HubServer]:
    """A running server on a free port of the loopback; ``kind`` answers more than `HubHandler`."""
    state = HubServer()

    class Handler(kind or HubHandler):  # type: ignore[misc]
        hub = state

    with serving(Handler) as state.address:
        yield state


class HubHandler(BaseHTTPRequestHandler):
    """Answers as the hub does."""

    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: object) -> None:
        """Keeps quiet."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        """Making a repository, and a commit with the files' content in it."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        path = unquote(urlsplit(self.path).path)
        self.note(path)
        if self.token() != TOKEN:
            return self.give({"error": "Invalid username or password."}, 401)
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return self.give({"errors": [], "warnings": []})
        name, _, action = path.removeprefix("/api/models/").rpartition("/main")[0].rpartition("/")
        if action == "preupload":
            files = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                     for file in json.loads(body)["files"]]  # fmt: skip
            return self.give({"files": files})
        if action == "commit":
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    value = entry["value"]
                    self.hub.repositories[name].files[value["path"]] = base64.b64decode(value["content"])
            url = f"{self.hub.address}/{name}/commit/{COMMIT}"
            return self.give({"commitUrl": url, "commitOid": COMMIT, "success": True})
        return self.give({"error": "no such page"}, 404)

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked.get('organization') or 'ada'}/{asked['name'].rpartition('/')[2]}"
        private = asked.get("private") or asked.get("visibility") == "private"
        if name in self.hub.repositories:
            return self.give({"error": "You already created it", "url": f"{self.hub.address}/{name}"}, 409)
        self.hub.add(Repository(name, {}, private=bool(private)))
        return self.give({"url": f"{self.hub.address}/{name}", "name": name, "id": name})

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), parse_qs(parts.query)
        for prefix, status in self.hub.status.items():
            if path.startswith(prefix):
                self.note(path)
                return self.give({"error": "as asked"}, status)
        if path == "/api/whoami-v2":
            return self._whoami(path)
        if path == "/api/models":
            return self._list(path, query)
        if path.startswith("/api/models/"):
            return self._model(path)
        if "/resolve/" in path:
            return self._file(path)
        self.note(path)
        return self.give({"error": "no such page"}, 404)

    def _whoami(self, path: str) -> None:
        self.note(path)
        if self.token() != TOKEN:
            return self.give({"error": "Invalid credentials in Authorization header"}, 401)
        return self.give({"name": "ada", "auth": {"accessToken": {"displayName": "luthier", "role": "read"}}})

    def _list(self, path: str, query: dict[str, list[str]]) -> None:
        self.note(path)
        words, tags = query.get("search", [""])[0].lower(), query.get("filter", [])
        found = [
            repository.tree()
            for repository in sorted(self.hub.repositories.values(), key=lambda r: -r.downloads)
            if words in repository.id.lower() and set(tags) <= set(repository.tags)
        ]
        self.give(found[: int(query.get("limit", ["100"])[0])])

    def _model(self, path: str) -> None:
        self.note(path)
        words = path.removeprefix("/api/models/").split("/")
        repository = self.hub.repositories.get("/".join(words[:2]))
        if repository is None:
            return self.give({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        if words[2:3] == ["tree"]:
            return self.give(repository.listing())
        if words[2:3] == ["revision"] and words[3] not in ("main", COMMIT):
            return self.give({"error": "Revision not found"}, 404, {"X-Error-Code": "RevisionNotFound"})
        return self.give(repository.tree() | {"siblings": repository.siblings()})

    def _file(self, path: str) -> None:
        name, _, rest = path.lstrip("/").partition("/resolve/")
        file = rest.partition("/")[2]
        repository = self.hub.repositories[name]
        if repository.gated and self.token() != TOKEN:
            self.note(path)
            return self.give({"error": "gated"}, 401, {"X-Error-Code": "GatedRepo"})
        if file not in repository.files:
            self.note(path)
            return self.give({"error": "no entry"}, 404, {"X-Error-Code": "EntryNotFound"})
        return self._send_file(path, file, repository.files[file])

    def _send_file(self, path: str, name: str, data: bytes) -> None:
        asked = self.headers.get("Range", "")
        if asked and self.hub.refuses_range:
            self.note(path)
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked and not self.hub.ignores_range else 0
        etag = sha256(data) if is_lfs(name) else git_id(data)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        if is_lfs(name):
            self.send_header("X-Linked-Size", str(len(data)))
            self.send_header("X-Linked-Etag", f'"{etag}"')
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if self.command == "HEAD":
            self.note(path)
            return
        noted = self.note(path, start)  # before the body: one that nobody reads any more ends after the next began
        noted.sent = self._send_body(data[start:], is_lfs(name))

    def _send_body(self, data: bytes, large: bool) -> int:
        cut = self.hub.break_after if large and self.hub.takes_break() else 0
        if self.hub.corrupts and large:
            data = bytes(len(data))
        sent = 0
        for at in range(0, len(data), PIECE):
            piece = data[at : at + PIECE]
            if cut and sent + len(piece) > cut:
                self.close_connection = True
                return sent
            try:
                self.wfile.write(piece)
            except OSError:
                return sent
            sent += len(piece)
            if self.hub.bytes_per_second and large:
                time.sleep(len(piece) / self.hub.bytes_per_second)
        return sent

    def token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def note(self, path: str, start: int = 0) -> Request:
        noted = Request(self.command, path, start, authorized=bool(self.token()))
        self.hub.note(noted)
        return noted

    def give(self, tree: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(tree).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", COMMIT)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
