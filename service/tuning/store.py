"""Keeps tunings in files: beside the model, or where its folder can't be written."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import pydantic

from service.errors import ConfigError
from service.tuning.identity import TuningKey
from service.tuning.objective import Objective

FILE_NAME = "tuning.json"
# All that a search can choose. The file may have come with a model from elsewhere, and properties can do
# more than tune: name a folder to write to, or make the engine fail.
_PROPERTIES = {
    "INFERENCE_PRECISION_HINT": re.compile("f32|bf16|f16"),
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": re.compile("0|32|64|128"),
    "KV_CACHE_PRECISION": re.compile("f32|f16|bf16|u8|u4"),
    "INFERENCE_NUM_THREADS": re.compile("[1-9][0-9]{0,3}"),
    "ENABLE_CPU_PINNING": re.compile("YES|NO"),
    "ENABLE_HYPER_THREADING": re.compile("YES|NO"),
}
_MOST_BATCHED_TOKENS = 65_536
_MOST_RUNNING = 4_096


class _Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class Figures(_Model):
    """What the chosen settings measured; gains are ratios of medians that were measured in turn."""

    alone_per_s: float
    together_per_s: float
    ttft_s: float
    distance_nats: float | None
    gain_alone: float
    gain_together: float
    gain_alone_over_engine_defaults: float | None
    gain_together_over_engine_defaults: float | None


class TuningEntry(_Model):
    """What was found best for one key."""

    key: TuningKey
    objective: Objective
    name: str
    properties: dict[str, str]
    max_batched_tokens: int = pydantic.Field(gt=0, le=_MOST_BATCHED_TOKENS)
    max_running: int = pydantic.Field(gt=0, le=_MOST_RUNNING)
    tuned_at: datetime
    budget_s: float
    figures: Figures | None = None

    @pydantic.field_validator("properties")
    @classmethod
    def _are_tunable(cls, value: dict[str, str]) -> dict[str, str]:
        for name, wanted in value.items():
            if name not in _PROPERTIES or not _PROPERTIES[name].fullmatch(wanted):
                raise ValueError(f"no tuning sets {name} = {wanted}")
        return value


class TuningFile(_Model):
    """The file: one entry for each key, the last one tuned."""

    schema_version: Literal[1] = 1
    entries: list[TuningEntry] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The entry that holds here, or why there is none; both None when nothing was ever tuned."""

    entry: TuningEntry | None = None
    reason: str | None = None
    path: Path | None = None


def places(folder: Path, chosen: Path | None, *, state: Path | None = None) -> tuple[Path, ...]:
    """Where the tunings of the model in `folder` may be: the `chosen` file alone, if one is.

    Else beside the model; else below `state`, by default the user's folder for such (XDG_STATE_HOME).
    """
    if chosen is not None:
        return (chosen,)
    # Without a home, as some services run, there is nothing to find in it.
    home = Path(os.environ.get("HOME") or "/nonexistent")
    below = state or Path(os.environ.get("XDG_STATE_HOME") or home / ".local" / "state")
    return folder / FILE_NAME, below / "tiber-serve" / "tuning" / f"{folder.resolve().name}.json"


def existing(paths: Sequence[Path]) -> list[Path]:
    """Those that are files, as far as this process may see."""
    return [path for path in paths if _is_file(path)]


def check(paths: Sequence[Path]) -> None:
    """See that a result could be kept, before it takes minutes to get one.

    Raises:
        ConfigError: an earlier file is broken, or nothing can be written.
    """
    for path in existing(paths):
        read(path)
    folders = [next(one for one in path.absolute().parents if one.exists()) for path in paths]
    if not any(folder.is_dir() and os.access(folder, os.W_OK) for folder in folders):
        raise ConfigError(
            f"{paths[0]} can't be written, so no result could be kept: name a file with --output"
        )


def find(paths: Sequence[Path], key: TuningKey) -> Found:
    """Look for the entry of `key`; a file that can't be read is a reason, never an error."""
    found = Found()
    for path in existing(paths):
        try:
            entries = read(path).entries
        except ConfigError as error:
            found = Found(reason=error.message, path=path)
            continue
        for entry in reversed(entries):
            difference = entry.key.difference(key)
            if difference is None:
                return Found(entry=entry, path=path)
            found = found if found.reason else Found(reason=difference, path=path)
    return found


def read(path: Path) -> TuningFile:
    """Read a file of tunings.

    Raises:
        ConfigError: it can't be read, or is no such file.
    """
    try:
        return TuningFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from error
    except pydantic.ValidationError as error:
        raise ConfigError(
            f"{path} is no file of tunings of this version; remove it and tune again"
        ) from error


def write(paths: Sequence[Path], entry: TuningEntry) -> Path:
    """Put the entry in the first file of `paths` that can be written, in place of an earlier one of its key.

    Raises:
        ConfigError: none of them can be.
    """
    problems = []
    for path in paths:
        try:
            _put(path, entry)
        except OSError as error:
            problems.append(f"{path}: {error.strerror}")
        else:
            return path
    raise ConfigError(f"the tuning can't be written ({'; '.join(problems)}); name a file with --output FILE")


def _put(path: Path, entry: TuningEntry) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = [one for one in read(path).entries if one.key != entry.key] if _is_file(path) else []
    content = TuningFile(entries=[*kept, entry]).model_dump_json(indent=2) + "\n"
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(content, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        # A folder above it is not ours to look into.
        return False
