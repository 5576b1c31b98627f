"""Finds a model that was downloaded before, without any network."""

from pathlib import Path

from export.errors import ConversionError
from export.hub.cache import RepositoryCache
from export.hub.description import check_description
from export.hub.listing import DIGEST
from export.hub.verification import verify
from export.progress import Steps
from export.request import Request
from export.sources import HubSource
from export.weight_files import choose_weights, missing_shards


def cached_folder(source: HubSource, cache: RepositoryCache, request: Request, steps: Steps) -> Path:
    """The snapshot of `source` in the cache, whole and undamaged.

    Raises:
        ConversionError: naming what is missing and how to get it.
    """
    at = f" at revision {source.revision}" if source.revision else ""
    folder = cache.find_snapshot(source.revision)
    if folder is None:
        raise ConversionError(
            f"{source.repo_id}{at} is not in the hub's cache {cache.root.parent}: run the same command once "
            "with a network and without --offline, or name a model folder or a .gguf file"
        )
    # A name whose content is not there is as good as absent: exists() follows the link.
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    weights = [name for name in names if ".safetensors" in name] or names
    absent = (
        "config.json" if "config.json" not in names else next(iter(missing_shards(folder, weights)), None)
    )
    if absent is not None:
        raise ConversionError(
            f"{source.repo_id}{at} is in the hub's cache without {absent}: run the same command once "
            "with a network and without --offline to download the rest"
        )
    check_description(folder, source, request)
    choose_weights(names, source.repo_id, allow_pickle=request.allow_pickle)
    # The cache names contents after their checksums.
    contents = {name: (folder / name).resolve().name for name in names if (folder / name).is_symlink()}
    digests = {name: digest for name, digest in contents.items() if DIGEST.fullmatch(digest)}
    with steps.step(f"Verifying {len(digests)} files") as advance:
        verify(digests, folder, advance)
    return folder
