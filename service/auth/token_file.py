"""Reads and writes the file of hashed tokens."""

import fcntl
import os
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

import pydantic

from service.errors import ConfigError

OTHERS_MASK = 0o077


class StoredToken(pydantic.BaseModel):
    """A token as the file holds it: never its text."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    name: str
    id: str
    sha256: str = pydantic.Field(pattern=r"^[0-9a-f]{64}$")
    created_at: datetime


class TokenFile(pydantic.BaseModel):
    """The whole file."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    tokens: tuple[StoredToken, ...] = ()


def read_tokens(path: Path) -> tuple[StoredToken, ...]:
    """Read the tokens at `path`; none when there is no such file.

    Raises:
        ConfigError: when others may read the file, or it is not a file of tokens.
    """
    try:
        with path.open("rb") as file:
            _refuse_exposed(path, os.fstat(file.fileno()).st_mode)
            content = file.read()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError(f"The token file {path} can't be read: {error.strerror}") from error
    try:
        return TokenFile.model_validate_json(content).tokens
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigError(
            f"The token file {path} is broken ({field}: {first['msg']}). "
            "Move it away, then create the tokens anew with: tiber-serve token create NAME"
        ) from None  # pydantic's error carries the input, hashes included


def write_tokens(path: Path, tokens: tuple[StoredToken, ...]) -> None:
    """Write the tokens to `path`, whole or not at all, readable by the owner alone."""
    content = TokenFile(tokens=tokens).model_dump_json(indent=2) + "\n"
    # mkstemp makes the file with mode 0600, whatever the umask.
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock for reading, changing then writing `path`; makes its folder where missing.

    The lock is a file of its own, since `path` is replaced by every write.

    Raises:
        ConfigError: when the folder or a file in it can't be written.
    """
    lock = path.with_name(f"{path.name}.lock")
    try:
        _make_private_folder(path.parent)
        with open(lock, "a", opener=_open_private) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise ConfigError(f"The token file {path} can't be changed: {error.strerror}") from error


def _refuse_exposed(path: Path, mode: int) -> None:
    if mode & OTHERS_MASK:
        raise ConfigError(
            f"The token file {path} is open to other users (mode {mode & 0o777:04o}). "
            f"Run: chmod 600 {shlex.quote(str(path))}"
        )


def _open_private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _make_private_folder(folder: Path) -> None:
    # mkdir(parents=True) would give the folders above the default mode.
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
