"""Refuses to publish a model that was found wanting, or was never compared with its source."""

import json
from pathlib import Path

from export.existing import is_unverified
from export.outcome import REPORT_FILE, verdict
from export.quality.errors import QualityError
from export.request import Request
from service.errors import ConfigError


def refuse_to_push(folder: Path, request: Request) -> None:
    """Look at the report in the converted folder.

    Raises:
        QualityError: when it tells of a measure beyond its limit, and that is not accepted.
        ConfigError: when there is none although one was not declined.
    """
    report = folder / REPORT_FILE
    if report.is_file():
        if verdict(json.loads(report.read_bytes())) == "failed" and not request.accept:
            raise QualityError(
                f"{folder} is beyond a limit of its quality report: not published without --accept"
            )
    elif request.verify and is_unverified(folder):
        raise ConfigError(
            f"{folder} was not compared with its source, so it is not published: run python export/verify.py "
            f"{folder}, or add --no-verify"
        )
