"""Reads what a tiber-serve tells of itself at /info."""

import http.client
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from benchmarks.answers import parse_object
from benchmarks.client import Target
from benchmarks.http_get import get

_PATH = "/info"
_ROUTER = "tiber-serve"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceInfo:
    """The model that is served, as far as it can be told apart, and where the engine's settings are from.

    `model_sha` is the revision or hash of what the model was converted from.
    """

    model: str
    model_sha: str | None
    weight_format: str
    engine_settings: str | None


def read_service_info(target: Target, model_name: str | None = None) -> ServiceInfo | None:
    """Ask a server of ours for its model of that name, or for its first; None for any other server."""
    told = _told(target, _PATH)
    if told and model_name in told.get("models", ()):
        told = _told(target, f"/{quote(str(model_name), safe='')}{_PATH}")
    if told is None:
        return None
    settings = told.get("engine_settings")
    return ServiceInfo(
        model=str(told.get("model_id")),
        model_sha=told.get("model_sha"),
        weight_format=str(told.get("weight_format")),
        engine_settings=None if settings is None else str(settings),
    )


def _told(target: Target, path: str) -> dict[str, Any] | None:
    try:
        status, body = get(target, path)
    except (OSError, http.client.HTTPException):
        return None
    told = parse_object(body) or {}
    return told if status == http.client.OK and told.get("router") == _ROUTER else None
