"""Fetches from the loopback hub as a conversion does."""

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from export.hub import fetch_hub_folder
from export.progress import Steps
from export.request import Request
from export.sources import HubSource


class Fetching:
    """Fetches from the hub, keeping what was printed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.printed = io.StringIO()

    def __call__(self, repo_id: str = "org/name", revision: str | None = None, **options: Any) -> Path:
        request = Request(
            name="name", output=self._folder / "out", weights="int8", device="CPU", force=False, **options
        )
        steps = Steps(Console(file=self.printed, width=200))
        return fetch_hub_folder(HubSource(repo_id=repo_id, revision=revision), request, steps)
