"""Asks the hub what a revision of a repository holds."""

from dataclasses import dataclass

from export.sources import HubSource


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

    info = HfApi().model_info(source.repo_id, revision=source.revision, files_metadata=True)
    files = tuple(
        HubFile(
            name=file.rfilename,
            size_bytes=int(file.size or 0),
            digest=file.lfs.sha256 if file.lfs else str(file.blob_id),
        )
        for file in info.siblings or ()
    )
    return Listing(commit=str(info.sha), files=files)
