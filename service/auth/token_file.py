"""Reads and writes the file of hashed tokens."""

import os
import pwd
import shlex
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Self

import pydantic

from service.auth import private_file
from service.errors import ConfigError
from service.rate import parse_rate

OTHERS_MASK = 0o077
_ROOT = 0


class StoredToken(pydantic.BaseModel):
    """A token as the file holds it: never its text.

    `models` empty means every model, `rate` and `max_concurrent` None the service's defaults.
    `rotated_at` is set once another one took its place; it works until it expires.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    id: str = pydantic.Field(min_length=1)
    sha256: str = pydantic.Field(pattern=r"^[0-9a-f]{64}$")
    created_at: pydantic.AwareDatetime
    expires_at: pydantic.AwareDatetime | None = None
    models: tuple[str, ...] = ()
    rate: str | None = None
    burst: int | None = None
    max_concurrent: int | None = pydantic.Field(None, gt=0)
    rotated_at: pydantic.AwareDatetime | None = None

    @pydantic.field_validator("models")
    @classmethod
    def _are_names(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        for name in models:
            if not name.strip() or not name.isprintable():
                raise ValueError(f"{name!r} can't be a model's name")
        return models

    @pydantic.model_validator(mode="after")
    def _has_a_rate(self) -> Self:
        if self.rate is not None:
            parse_rate(self.rate, self.burst)
        elif self.burst is not None:
            raise ValueError("a burst needs a rate")
        return self


class TokenFile(pydantic.BaseModel):
    """The whole file; version 1 had none of the limits, and is read as it is."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: Literal[1, 2] = 2
    tokens: tuple[StoredToken, ...] = ()

    @pydantic.model_validator(mode="after")
    def _has_no_doubles(self) -> Self:
        current = (f"name {token.name!r}" for token in self.tokens if token.rotated_at is None)
        ids = (f"id {token.id!r}" for token in self.tokens)
        for what, count in Counter((*current, *ids)).items():
            if count > 1:
                raise ValueError(f"several tokens have the {what}")
        return self


def first_fault(error: pydantic.ValidationError, *, whole: str) -> str:
    """Say in a few words what is wrong, without the values: hashes may be among them."""
    first = error.errors(include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or whole
    return f"{field}: {first['msg'].removeprefix('Value error, ')}"


def read_tokens(path: Path) -> tuple[StoredToken, ...]:
    """Read the tokens at `path`; none when there is no such file.

    Raises:
        ConfigError: when others may read the file, or it is not a file of tokens.
    """
    try:
        with path.open("rb") as file:
            _refuse_exposed(path, os.fstat(file.fileno()))
            content = file.read()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError(f"The token file {path} can't be read: {error.strerror}{_remedy(path)}") from error
    try:
        return TokenFile.model_validate_json(content).tokens
    except pydantic.ValidationError as error:
        # Not as its cause: pydantic's error carries the input, hashes included.
        raise ConfigError(f"The token file {path} is broken ({_remedy_of_fault(error)}") from None


def write_tokens(path: Path, tokens: tuple[StoredToken, ...]) -> None:
    """Write the tokens to `path`, whole or not at all, readable by the owner alone."""
    content = TokenFile(tokens=tokens).model_dump_json(indent=2, exclude_none=True)
    private_file.replace(path, [content.encode(), b"\n"])


@contextmanager
def locked(path: Path) -> Iterator[Path]:
    """Hold the lock for reading, changing then writing `path`; makes its folder where missing.

    Gives the file itself where `path` is a link: writing in the link's place would part the two.

    Raises:
        ConfigError: when the folder or a file in it can't be written.
    """
    file = Path(os.path.realpath(path))
    try:
        with private_file.locked(file):
            yield file
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise ConfigError(f"The token file {path} can't be changed: {error.strerror}{place}") from error


def _refuse_exposed(path: Path, status: os.stat_result) -> None:
    file = shlex.quote(str(path))
    if status.st_mode & OTHERS_MASK:
        raise ConfigError(
            f"The token file {path} is open to other users (mode {stat.S_IMODE(status.st_mode):04o}). "
            f"Run: chmod 600 {file}"
        )
    if status.st_uid not in (os.geteuid(), _ROOT):
        # Only root gets here. What it wrote, the file's owner could no longer read.
        owner = _user(status.st_uid)
        raise ConfigError(
            f"The token file {path} belongs to {owner}, who can read and change it. "
            f"Run this as {owner}, or: chown {_user(os.geteuid())} {file}"
        )


def _remedy(path: Path) -> str:
    try:
        owner = path.stat().st_uid
    except OSError:
        return ""
    if owner == os.geteuid():
        return ""
    return (
        f". It belongs to {_user(owner)}: run this as that user, "
        f"or: sudo chown {_user(os.geteuid())} {shlex.quote(str(path))}"
    )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _remedy_of_fault(error: pydantic.ValidationError) -> str:
    fault = first_fault(error, whole="the file")
    if fault.startswith("schema_version"):
        return f"{fault}): was it written by a newer tiber-serve?"
    return f"{fault}). Mend it, or move it away and create the tokens anew: tiber-serve token create NAME"
