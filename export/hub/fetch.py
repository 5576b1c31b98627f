"""Fetches a model from the Hugging Face hub."""

from pathlib import Path

from export.errors import ConversionError
from export.hub.cache import repository_cache
from export.hub.download import Download
from export.hub.explain import explain, is_from_disk, is_unreachable
from export.hub.listing import Listing, list_revision
from export.hub.offline import cached_folder
from export.hub.transfer import hush_client
from export.progress import Steps
from export.request import Request
from export.sources import HubSource


def fetch_hub_folder(source: HubSource, request: Request, steps: Steps) -> Path:
    """Download what is missing of `source` into the hub's own cache; the folder's name is the commit.

    Without the network, or when asked not to use it, what was downloaded before will do if it is whole.

    Raises:
        ConversionError: when the hub can't be reached or refuses, when the model is of a kind that
            can't be converted, a file arrives damaged, or disk or memory are too small.
    """
    hush_client()
    cache = repository_cache(source.repo_id)
    try:
        listing = None if request.offline else _list(source, steps)
        if listing is None:
            return cached_folder(source, cache, request, steps)
        with cache.lock():
            return Download(source=source, listing=listing, cache=cache, request=request, steps=steps).run()
    except ConversionError:
        raise
    except Exception as error:  # a border: the client lets its HTTP library's errors through
        if is_from_disk(error):
            raise ConversionError(
                f"the hub's cache {cache.root} can't be written ({error.strerror}): free some space, or set "
                "HF_HOME to a folder on a disk with room"
            ) from error
        raise ConversionError(explain(error, source)) from error


def _list(source: HubSource, steps: Steps) -> Listing | None:
    """The revision's files; None when the hub can't be reached and the cache knows the revision."""
    try:
        return list_revision(source)
    except Exception as error:
        if (
            not is_unreachable(error)
            or repository_cache(source.repo_id).find_snapshot(source.revision) is None
        ):
            raise
        steps.note("[yellow]The hub can't be reached: using what was downloaded before[/yellow]")
        return None
