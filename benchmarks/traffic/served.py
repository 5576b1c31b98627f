"""Checks that a running server serves the model whose manifest a record gets."""

from pathlib import Path

from benchmarks.client import Target
from benchmarks.service_info import read_service_info
from service.errors import ConfigError
from service.manifest import read_manifest

OWN = "own server"
VERIFIED = "same source and weight format"
UNVERIFIED = "unverified"
PACED = "no: a paced server"
"""What a record says of it."""


def check_served(target: Target, model: Path, model_name: str | None) -> str:
    """`VERIFIED`, or `UNVERIFIED` where the server does not tell what it serves.

    Raises:
        ConfigError: the server says that it serves another model.
        ModelFolderError: the folder has no manifest.
    """
    manifest = read_manifest(model)
    info = read_service_info(target, model_name)
    if info is None:
        return UNVERIFIED
    source = manifest.source.revision or manifest.source.sha256
    if (info.model_sha, info.weight_format) != (source, manifest.weight_format):
        raise ConfigError(
            f"the server serves {info.model}, {info.weight_format} made from {info.model_sha}, "
            f"and --model is {manifest.name}, {manifest.weight_format} made from {source}: "
            "give the folder that is served, with --model-name where there are several, or leave out --model"
        )
    return VERIFIED if source else UNVERIFIED
