"""Keeps tunings in files: beside the model, or where its folder can't be written."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import pydantic

from service.errors import ConfigError
from service.tuning.allowed import beyond_allowed, is_exact
from service.tuning.identity import TuningKey
from service.tuning.objective import Objective

FILE_NAME = "tuning.json"
# An entry has about 1 KiB.
_MOST_BYTES = 2**20


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
    max_batched_tokens: int = pydantic.Field(gt=0)
    max_running: int = pydantic.Field(gt=0)
    tuned_at: datetime
    budget_s: float
    figures: Figures | None = None

    @property
    def is_reproducible(self) -> bool:
        """Whether it is for models in reproducible mode, and no others."""
        return self.objective == "reproducible"

    def unfit(self, *, is_reproducible: bool) -> str | None:
        """Why it can't be used in this mode, whatever the machine; None when it can."""
        if self.is_reproducible != is_reproducible:
            return (
                "it is for reproducible mode" if self.is_reproducible else "it is not for reproducible mode"
            )
        if is_reproducible and not is_exact(self.properties):
            return "its properties are not reproducible"
        return beyond_allowed(
            self.properties, max_batched_tokens=self.max_batched_tokens, max_running=self.max_running
        )


class TuningFile(_Model):
    """The file: one entry for each key in each mode, the last one tuned."""

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
        ConfigError: an earlier file is broken, or can't be written, in every place.
    """
    problems = []
    for path in paths:
        try:
            _check_one(path)
        except ConfigError as error:
            problems.append(error)
        else:
            return
    raise problems[0]


def _check_one(path: Path) -> None:
    if _is_file(path):
        read(path)
    folder = next(one for one in path.absolute().parents if _exists(one))
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(f"{path} can't be written, so no result could be kept: name a file with --output")


def find(paths: Sequence[Path], key: TuningKey, *, is_reproducible: bool = False) -> Found:
    """Look for the entry of `key` in this mode; a file that can't be read is a reason, never an error."""
    found = Found()
    for path in existing(paths):
        try:
            entries = read(path).entries
        except ConfigError as error:
            found = Found(reason=error.message, path=path)
            continue
        for entry in reversed(entries):
            difference = entry.key.difference(key) or entry.unfit(is_reproducible=is_reproducible)
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
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ConfigError(f"{path} is larger than any file of tunings; remove it and tune again")
        return TuningFile.model_validate_json(content)
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from error
    except pydantic.ValidationError as error:
        raise ConfigError(
            f"{path} is no file of tunings of this version; remove it and tune again"
        ) from error


def write(paths: Sequence[Path], entry: TuningEntry) -> Path:
    """Put the entry in the first file of `paths` that can be written.

    It takes the place of an earlier one of its key and mode.

    Raises:
        ConfigError: none of them can be.
    """
    problems = []
    for path in paths:
        try:
            _put(path, entry)
        except OSError as error:
            problems.append(f"{path}: {error.strerror}")
        except ConfigError as error:
            # A file that is not ours to read or replace: the next place may do.
            problems.append(error.message)
        else:
            return path
    raise ConfigError(f"the tuning can't be written ({'; '.join(problems)}); name a file with --output FILE")


def _put(path: Path, entry: TuningEntry) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    earlier = read(path).entries if _is_file(path) else []
    kept = [one for one in earlier if (one.key, one.is_reproducible) != (entry.key, entry.is_reproducible)]
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


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
