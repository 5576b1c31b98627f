"""What the loopback hub does with an upload: repositories, LFS objects and commits."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Uploads:
    """All that arrived; `files` are those of the last commit to each repository.

    With `refuses` no token may write: the answer is None.
    """

    refuses: bool = False

    created: dict[str, str] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, body: bytes, endpoint: str) -> dict[str, Any] | None:
        if self.refuses:
            return None
        if method == "PUT":
            return self._store(path, body)
        if path == "/api/repos/create":
            return self._create(json.loads(body), endpoint)
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}
        if path.endswith("/info/lfs/objects/batch"):
            return self._batch(json.loads(body), endpoint)
        if "/preupload/" in path:
            return {"files": [_upload_mode(file) for file in json.loads(body)["files"]]}
        if "/commit/" in path:
            return self._commit(path, body, endpoint)
        raise AssertionError(f"the loopback hub knows no {method} {path}")

    def _create(self, asked: dict[str, Any], endpoint: str) -> dict[str, Any]:
        repo_id = f"{asked['organization']}/{asked['name']}"
        self.created.setdefault(repo_id, asked.get("visibility") or "public")
        return {"url": f"{endpoint}/{repo_id}", "id": repo_id, "name": repo_id}

    def _batch(self, asked: dict[str, Any], endpoint: str) -> dict[str, Any]:
        objects = [
            {"oid": item["oid"], "size": item["size"]}
            | (
                {}
                if item["oid"] in self.objects
                else {"actions": {"upload": {"href": f"{endpoint}/lfs/{item['oid']}"}}}
            )
            for item in asked["objects"]
        ]
        return {"transfer": "basic", "objects": objects}

    def _store(self, path: str, body: bytes) -> dict[str, Any]:
        digest = path.rpartition("/")[2]
        assert hashlib.sha256(body).hexdigest() == digest
        self.objects[digest] = body
        return {}

    def _commit(self, path: str, body: bytes, endpoint: str) -> dict[str, Any]:
        repo_id = "/".join(path.split("/")[3:5])
        files = self.files.setdefault(repo_id, {})
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                self.commits.append(value["summary"])
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                files.pop(value["path"], None)
        oid = hashlib.sha1(body).hexdigest()
        return {"commitUrl": f"{endpoint}/{repo_id}/commit/{oid}", "commitOid": oid, "success": True}


def _upload_mode(file: dict[str, Any]) -> dict[str, Any]:
    mode = "lfs" if file["path"].endswith((".bin", ".safetensors")) else "regular"
    return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}
