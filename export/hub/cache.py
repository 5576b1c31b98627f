"""Keeps downloads in the hub's own cache, in the layout that all of Hugging Face's libraries share.

Contents lie in `blobs` under their checksum; `snapshots/COMMIT` holds links to them under their names;
`refs` says which commit a branch or tag was. https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from export.checksum import file_sha256
from export.hub.listing import HubFile, Listing

SHA256_DIGITS = 64
DEFAULT_REVISION = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryCache:
    """The cache's folder of one repository."""

    root: Path

    def snapshot(self, commit: str) -> Path:
        """The folder of a commit's files under their own names."""
        return self.root / "snapshots" / commit

    def blob(self, file: HubFile) -> Path:
        """Where the content of `file` lies once it is whole."""
        return self.root / "blobs" / file.digest

    def partial(self, file: HubFile) -> Path:
        """Where its content grows until then."""
        return self.root / "blobs" / f"{file.digest}.incomplete"

    def missing(self, files: tuple[HubFile, ...]) -> tuple[HubFile, ...]:
        """Those whose content is not here whole."""
        return tuple(file for file in files if not self.blob(file).is_file())

    def missing_bytes(self, files: tuple[HubFile, ...]) -> int:
        """What is still to be downloaded of `files`, after earlier beginnings."""
        begun = (self.partial(file) for file in self.missing(files))
        return sum(file.size_bytes for file in self.missing(files)) - sum(
            path.stat().st_size for path in begun if path.is_file()
        )

    def link(self, listing: Listing, files: tuple[HubFile, ...], revision: str | None) -> Path:
        """Make the snapshot name these contents; return its folder."""
        folder = self.snapshot(listing.commit)
        for file in files:
            name = folder / file.name
            name.parent.mkdir(parents=True, exist_ok=True)
            if name.is_symlink() and not name.exists():
                name.unlink()
            if not name.exists():
                name.symlink_to(os.path.relpath(self.blob(file), name.parent))
        if revision != listing.commit:
            reference = self.root / "refs" / (revision or DEFAULT_REVISION)
            reference.parent.mkdir(parents=True, exist_ok=True)
            reference.write_text(listing.commit)
        return folder

    def find_snapshot(self, revision: str | None) -> Path | None:
        """The folder of a revision that was downloaded before, whole or not."""
        reference = self.root / "refs" / (revision or DEFAULT_REVISION)
        commit = reference.read_text().strip() if reference.is_file() else revision
        folder = self.snapshot(commit) if commit else None
        return folder if folder and folder.is_dir() else None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one process at a time download this repository; others wait."""
        (self.root / "blobs").mkdir(parents=True, exist_ok=True)
        path = self.root.parent / ".locks" / self.root.name / "tiber-serve.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def repository_cache(repo_id: str) -> RepositoryCache:
    """Where the hub's libraries keep `repo_id`, after HF_HOME and HF_HUB_CACHE."""
    from huggingface_hub import constants

    return RepositoryCache(root=Path(constants.HF_HUB_CACHE) / f"models--{repo_id.replace('/', '--')}")


def has_digest(path: Path, digest: str) -> bool:
    """Whether the file's content has this checksum: a SHA-256, or git's id of a blob."""
    if len(digest) == SHA256_DIGITS:
        return file_sha256(path) == digest
    content = path.read_bytes()
    # Git's own naming of contents, not a signature.
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == digest
