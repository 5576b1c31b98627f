"""Refuses a hub's model by its description, before its weights are downloaded."""

from pathlib import Path

from export.architecture import find_task, read_config
from export.request import Request
from export.sources import HubSource
from export.transformers_limits import check_transformers
from export.vision import check_convertible


def check_description(folder: Path, source: HubSource, request: Request) -> None:
    """Read config.json in `folder`.

    Raises:
        ConversionError: when the model is of a kind that can't be converted, or not for the task asked for.
    """
    config = read_config(folder)
    if find_task(config, source.repo_id, request.task) == "image-text-to-text":
        check_convertible(config, source.repo_id)
    elif request.device != "GAUDI":  # that needs no optimum-intel
        check_transformers(str(config.get("model_type")), source.repo_id)
