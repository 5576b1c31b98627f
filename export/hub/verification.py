"""Checks downloaded files against the checksums that the hub has of them."""

from collections.abc import Mapping
from pathlib import Path

from export.errors import ConversionError
from export.hub.cache import has_digest
from export.progress import Advance


def verify(digests: Mapping[str, str], folder: Path, advance: Advance) -> None:
    """Read each of the named files in `folder`; a damaged one is removed.

    Raises:
        ConversionError: when one is damaged.
    """
    sizes = {name: (folder / name).stat().st_size for name in digests}
    total, done = max(1, sum(sizes.values())), 0
    for name, digest in digests.items():
        path = folder / name
        if not has_digest(path, digest):
            path.resolve().unlink()
            path.unlink(missing_ok=True)
            raise ConversionError(
                f"{name} is damaged in the hub's cache (its checksum is not the hub's) and was removed: "
                "run the same command again to download it again"
            )
        done += sizes[name]
        advance(done / total)
