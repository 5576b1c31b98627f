"""Makes a plan of what the command line says."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from benchmarks.answers import parse_object
from benchmarks.client import Connection, Target
from benchmarks.errors import BenchmarkError
from benchmarks.traffic.dialects import Dialect, OpenAi, Tgi
from service.errors import ConfigError

_TIMEOUT_S = 30.0


def read_dialect(
    api: str, target: Target, *, model_name: str | None, ignore_eos: bool, extra: Mapping[str, Any]
) -> Dialect:
    """Choose the API by its name; OpenAI's asks the server for the model unless it is named.

    Raises:
        ConfigError: there is no such API.
        BenchmarkError: the server doesn't tell its model.
    """
    if api == "tgi":
        return Tgi(model=model_name, ignore_eos=ignore_eos, extra=extra)
    if api not in ("openai", "openai-chat"):
        raise ConfigError(f"--target is tgi, openai (completions) or openai-chat, not {api!r}")
    model = model_name or first_model(target)
    return OpenAi(model=model, is_chat=api == "openai-chat", ignore_eos=ignore_eos, extra=extra)


def read_extra(text: str | None) -> dict[str, Any]:
    """Read the JSON object that is added to each request. Raises: ConfigError when it is none."""
    if text is None:
        return {}
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        raise ConfigError(f"--extra is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError("--extra is a JSON object, such as '{\"top_k\": 1}'")
    return value


def _no_constant(name: str) -> None:
    """Python's JSON knows NaN and Infinity, JSON does not."""
    raise ValueError(name)


def first_model(target: Target) -> str:
    """The first model that the server names. Raises: BenchmarkError when it names none."""
    return asyncio.run(_first_model(target))


async def _first_model(target: Target) -> str:
    connection = await Connection.open(target)
    reply = await connection.send(target.request("GET", "/v1/models"), timeout_s=_TIMEOUT_S)
    connection.close()
    try:
        return str((parse_object(reply.content) or {})["data"][0]["id"])
    except (KeyError, IndexError, TypeError) as error:
        seen = reply.failure or f"status {reply.status}"
        raise BenchmarkError(
            f"/v1/models names no model ({seen}): give --model-name, and --token if needed"
        ) from error
