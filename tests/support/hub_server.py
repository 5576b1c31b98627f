"""A small Hugging Face hub on the loopback: the parts of its API that huggingface_hub 1.21 uses."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.support.hub_uploads import Uploads

LARGE_SUFFIXES = (".safetensors", ".bin", ".gguf")


@dataclass(kw_only=True)
class Repository:
    """Files at one commit, which `revisions` name, and how they are served.

    `cut_after[name]` ends every answer with that file after so many bytes; `damaged` files arrive with
    one wrong byte; `gate` is "gated" (consent missing) or "private" (nobody may know of it).
    """

    files: dict[str, bytes]
    revisions: tuple[str, ...] = ("main", "v1")
    cut_after: dict[str, int] = field(default_factory=dict)
    slow: dict[str, float] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    gate: str | None = None

    @property
    def commit(self) -> str:
        content = b"".join(name.encode() + data for name, data in sorted(self.files.items()))
        return hashlib.sha1(content).hexdigest()

    def digest(self, name: str) -> str:
        data = self.files[name]
        if is_large(name):
            return hashlib.sha256(data).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request that arrived."""

    method: str
    path: str
    range: str | None
    token: str | None


@dataclass(kw_only=True)
class Hub:
    """What the server knows; tests fill it and read it."""

    endpoint: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    uploads: Uploads = field(default_factory=Uploads)
    sending: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def environment(self, home: object) -> dict[str, str]:
        """What lets a process use this hub and a cache of its own below `home`."""
        return {"HF_ENDPOINT": self.endpoint, "HF_HOME": str(home), "HF_TOKEN": ""}

    def downloads(self, name: str) -> list[Asked]:
        """The requests for a file's content."""
        return [asked for asked in self.asked if asked.method == "GET" and asked.path.endswith(f"/{name}")]

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count an answer with a file's content while it is sent."""
        with self.lock:
            self.sending += 1
            self.most_at_once = max(self.most_at_once, self.sending)
        try:
            yield
        finally:
            with self.lock:
                self.sending -= 1


def is_large(name: str) -> bool:
    return name.endswith(LARGE_SUFFIXES)


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Serve until the block ends."""
    hub = Hub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the library's name
        pass

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._receive()

    def do_PUT(self) -> None:
        self._receive()

    def _note(self) -> str:
        path = unquote(urlsplit(self.path).path)
        token = self.headers.get("Authorization")
        self.hub.asked.append(
            Asked(method=self.command, path=path, range=self.headers.get("Range"), token=token)
        )
        return path

    def _serve(self) -> None:
        parts = self._note().strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            repo_id, rest = "/".join(parts[2:4]), parts[4:]
            revision = rest[1] if rest[:1] == ["revision"] else "main"
            if repo_id in self.hub.uploads.created:
                self._json({"id": repo_id, "private": self.hub.uploads.created[repo_id] == "private"})
            elif (repository := self._find(repo_id, revision)) is not None:
                self._json(_info(repo_id, repository))
        elif len(parts) > 4 and parts[2] == "resolve":
            repository = self._find("/".join(parts[:2]), parts[3])
            if repository is not None:
                self._file(repository, "/".join(parts[4:]))
        else:
            self._refuse(404, "EntryNotFound")

    def _find(self, repo_id: str, revision: str) -> Repository | None:
        repository = self.hub.repositories.get(repo_id)
        if repository is None or repository.gate == "private":
            self._refuse(401, "RepoNotFound")
        elif repository.gate == "gated":
            self._refuse(403, "GatedRepo")
        elif revision not in (*repository.revisions, repository.commit):
            self._refuse(404, "RevisionNotFound")
        else:
            return repository
        return None

    def _file(self, repository: Repository, name: str) -> None:
        data = repository.files.get(name)
        if data is None:
            self._refuse(404, "EntryNotFound")
            return
        if name in repository.damaged:
            data = bytes([data[0] ^ 1]) + data[1:]
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", f'"{repository.digest(name)}"')
        self.send_header("X-Linked-Etag", f'"{repository.digest(name)}"')
        self.send_header("X-Linked-Size", str(len(data)))
        self.send_header("X-Repo-Commit", repository.commit)
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if self.command == "HEAD":
            return
        end = min(len(data), repository.cut_after.get(name, len(data)))
        with self.hub.counted():
            self._write(data[start:end], repository.slow.get(name, 0.0))
        if end < len(data):
            self.close_connection = True

    def _write(self, data: bytes, pause_s: float) -> None:
        step = 1 << 20
        for at in range(0, len(data), step):
            try:
                self.wfile.write(data[at : at + step])
            except OSError:  # the client was interrupted
                self.close_connection = True
                return
            if pause_s:
                threading.Event().wait(pause_s)

    def _receive(self) -> None:
        path = self._note()
        body = self._body()
        if self.headers.get("Authorization") is None and self.command == "POST":
            self._refuse(401, "RepoNotFound")
            return
        content = self.hub.uploads.answer(self.command, path, body, self.hub.endpoint)
        if content is None:
            self._refuse(403, "Forbidden")
        else:
            self._json(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _json(self, content: object) -> None:
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _info(repo_id: str, repository: Repository) -> dict[str, Any]:
    siblings = []
    for name, data in repository.files.items():
        entry: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": "0" * 40}
        if is_large(name):
            entry["lfs"] = {"sha256": repository.digest(name), "size": len(data), "pointerSize": 134}
        else:
            entry["blobId"] = repository.digest(name)
        siblings.append(entry)
    return {
        "_id": "1",
        "id": repo_id,
        "modelId": repo_id,
        "sha": repository.commit,
        "siblings": siblings,
        "cardData": {"license": "mit"},
    }
