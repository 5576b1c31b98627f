"""Downloads one commit of a repository: what is missing of it, checked."""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from export.errors import ConversionError
from export.folder_kind import unconvertible_kind
from export.hub.cache import RepositoryCache
from export.hub.description import check_description
from export.hub.explain import explain, is_from_disk
from export.hub.listing import HubFile, Listing
from export.hub.room import check_room
from export.hub.transfer import Transfer
from export.hub.verification import verify
from export.progress import Steps
from export.request import Request
from export.resources import readable
from export.sources import HubSource
from export.weight_files import choose_weights

SIDE_FILES = ("*.json", "*.jinja", "*.model", "*.txt")
SIDE_FOLDERS = ("", "additional_chat_templates")  # others hold other formats, earlier checkpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One commit on its way into the cache."""

    source: HubSource
    listing: Listing
    cache: RepositoryCache
    request: Request
    steps: Steps

    def run(self) -> Path:
        """Download what is missing; return the snapshot's folder.

        Raises:
            ConversionError: when the model can't be converted, does not fit, or a file arrives damaged.
        """
        files = self._choose()
        description = tuple(file for file in files if file.name == "config.json")
        self._transfer(description, lambda _count: None)
        check_description(self._link(description), self.source, self.request)
        check_room(files, self.cache, self.source, self.request, self.steps)
        if self.cache.missing(files):
            self._fetch(files)
        folder = self._link(files)
        with self.steps.step(f"Verifying {len(files)} files") as advance:
            verify({file.name: file.digest for file in files}, folder, advance)
        return folder

    def _choose(self) -> tuple[HubFile, ...]:
        names = self.listing.names
        kind = unconvertible_kind(names)
        if kind is not None:
            raise ConversionError(f"{self.source.repo_id} {kind}")
        weights = choose_weights(names, self.source.repo_id, allow_pickle=self.request.allow_pickle)
        return tuple(file for file in self.listing.files if file.name in weights or _is_side_file(file.name))

    def _fetch(self, files: tuple[HubFile, ...]) -> None:
        wanted = max(1, self.cache.missing_bytes(files))
        title = f"Downloading {self.source.repo_id}, {readable(wanted)}"
        try:
            with self.steps.step(title) as advance:
                self._transfer(files, lambda count: advance(min(1.0, count / wanted)))
        except ConversionError:
            raise
        except Exception as error:
            if is_from_disk(error):
                raise
            raise ConversionError(
                f"{explain(error, self.source)}. {self._left(files)}: the same command goes on from there"
            ) from error
        except BaseException:  # interrupted
            self.steps.note(f"{self._left(files)} to download: the same command goes on from there")
            raise

    def _transfer(self, files: tuple[HubFile, ...], advance: Callable[[int], None]) -> None:
        from huggingface_hub import HfApi

        address = f"{HfApi().endpoint}/{self.source.repo_id}/resolve/{self.listing.commit}"
        Transfer(self.cache, address, self.cache.missing(files)).run(self.request.jobs, advance)

    def _link(self, files: tuple[HubFile, ...]) -> Path:
        return self.cache.link(self.listing, files, self.source.revision)

    def _left(self, files: tuple[HubFile, ...]) -> str:
        return f"{readable(self.cache.missing_bytes(files))} are left"


def _is_side_file(name: str) -> bool:
    folder, _, inner = name.rpartition("/")
    return folder in SIDE_FOLDERS and any(fnmatch(inner, pattern) for pattern in SIDE_FILES)
