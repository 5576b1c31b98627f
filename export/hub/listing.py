"""Asks the hub what a revision of a repository holds."""

import re
from dataclasses import dataclass

from export.errors import ConversionError
from export.sources import HubSource

COMMIT = re.compile(r"[0-9a-f]{40}")
DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """One file; `digest` is its SHA-256 where it is large (LFS), else git's id of its content, in hex."""

    name: str
    size_bytes: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The files of one commit."""

    commit: str
    files: tuple[HubFile, ...]

    @property
    def names(self) -> frozenset[str]:
        """The files' paths in the repository."""
        return frozenset(file.name for file in self.files)


def list_revision(source: HubSource) -> Listing:
    """The files of `source`, with the sizes and checksums that the hub has of them."""
    from huggingface_hub import HfApi

    # They become names of files in the cache.
    info = HfApi().model_info(source.repo_id, revision=source.revision, files_metadata=True)
    files = tuple(
        HubFile(
            name=file.rfilename,
            size_bytes=int(file.size or 0),
            digest=_checked(DIGEST, file.lfs.sha256 if file.lfs else file.blob_id),
        )
        for file in info.siblings or ()
    )
    return Listing(commit=_checked(COMMIT, info.sha), files=files)


def _checked(form: re.Pattern[str], value: str | None) -> str:
    if value is None or not form.fullmatch(value):
        raise ConversionError(f"the hub says {value!r} where a checksum belongs: check HF_ENDPOINT")
    return value
