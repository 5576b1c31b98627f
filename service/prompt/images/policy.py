"""Which pictures the service takes."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePolicy:
    """The operator's choices; see the settings' table [images] for each."""

    max_width: int = 1024
    max_height: int = 1024
    max_images: int = 8
    max_bytes: int = 10 * 2**20
    resize: Literal["refuse", "fit"] = "refuse"
    max_source_pixels: int = 40_000_000
    workers: int = 2
    remote_hosts: tuple[str, ...] = ()
    remote_timeout_s: float = 5.0
