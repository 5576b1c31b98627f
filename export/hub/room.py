"""Says before a download what it and the conversion after it will take."""

import shutil

from export.hub.cache import RepositoryCache
from export.hub.listing import HubFile
from export.progress import Steps
from export.request import Request
from export.resources import Need, available_memory, check_resources, folder_need, readable
from export.sources import HubSource


def check_room(
    files: tuple[HubFile, ...], cache: RepositoryCache, source: HubSource, request: Request, steps: Steps
) -> None:
    """Print the sizes that the hub tells, and compare them with this machine.

    Raises:
        ConversionError: when disk or memory are too small, naming need and have.
    """
    weight_bytes = sum(
        file.size_bytes for file in files if not file.name.endswith((".json", ".jinja", ".txt"))
    )
    download = cache.missing_bytes(files)
    need = folder_need(weight_bytes=weight_bytes, weights=request.weights)
    steps.note(
        f"{source.repo_id}: {readable(download)} to download of {readable(sum(f.size_bytes for f in files))} "
        f"({readable(shutil.disk_usage(cache.root).free)} free); the conversion needs about "
        f"{readable(need.disk)} of disk and {readable(need.memory)} of memory "
        f"({readable(available_memory())} available)"
    )
    parent = request.output.parent
    one_disk = cache.root.stat().st_dev == parent.stat().st_dev
    check_resources(Need(disk=download + one_disk * need.disk, memory=need.memory), cache.root)
    check_resources(need, parent)
