"""Remembers when each token was last used, in a file of its own that is written now and then."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Literal

import pydantic
import structlog

from service.auth import private_file
from service.errors import ConfigError

FLUSH_S = 60.0
_PATIENCE_S = 1.0
# The last flush is not tried again, but holds up the end of the service.
_LAST_PATIENCE_S = 5.0

_log = structlog.get_logger("auth")

Uses = Mapping[str, datetime]


class LastUseFile(pydantic.BaseModel):
    """The whole file: times by the tokens' ids."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: Literal[1] = 1
    last_used_at: dict[str, pydantic.AwareDatetime] = {}


class LastUses:
    """The last use of each token, of this process and of all others that share the file at `path`.

    `known_ids` gives the tokens there are now, or raises a ConfigError; others are forgotten. Nothing
    here is ever fatal: what can't be saved is logged, once for each reason, and tried again.
    """

    def __init__(
        self,
        path: Path,
        *,
        known_ids: Callable[[], Collection[str]],
        utc_now: Callable[[], datetime],
    ) -> None:
        self._path = path
        self._known_ids = known_ids
        self._utc_now = utc_now
        self._noted: dict[str, datetime] = {}
        self._failure: str | None = None

    def note(self, token_id: str) -> None:
        """Note a use now; nothing is written yet."""
        self._noted[token_id] = self._utc_now()

    def read(self) -> Uses:
        """Give what is known by the file and by this process."""
        return _merge(_read(self._path), self._noted)

    def forget_unknown(self) -> None:
        """Drop what the file has of tokens that are gone."""
        if self._path.exists():
            self._save({})

    async def run(self, flush_s: float = FLUSH_S) -> None:
        """Save what was noted every `flush_s` seconds, and at the end."""
        try:
            while True:
                await asyncio.sleep(flush_s)
                await self._flush()
        finally:
            noted = self._take()
            if noted:
                self._save(noted, patience_s=_LAST_PATIENCE_S)

    async def _flush(self) -> None:
        noted = self._take()
        if not noted:
            return
        saving = asyncio.create_task(asyncio.to_thread(self._save, noted))
        try:
            await asyncio.shield(saving)
        finally:
            # Also when cancelled: the thread goes on, and what it can't save comes back by nobody else.
            self._put_back(await saving)

    def _take(self) -> Uses:
        noted, self._noted = self._noted, {}
        return noted

    def _put_back(self, unsaved: Uses) -> None:
        self._noted = {**unsaved, **self._noted}

    def _save(self, noted: Uses, *, patience_s: float = _PATIENCE_S) -> Uses:
        """Merge into the file; give back what is still to be saved."""
        try:
            with private_file.locked(self._path, patience_s=patience_s):
                before = _read(self._path)
                after = self._of_known(_merge(before, noted))
                if after != before:
                    _write(self._path, after)
        except (OSError, ConfigError) as error:
            # Without the error's file: its name may be another random one each time.
            self._tell(str(error.strerror) if isinstance(error, OSError) else error.message)
            with suppress(ConfigError):
                return self._of_known(noted)
            return noted
        self._failure = None
        return {}

    def _of_known(self, uses: Uses) -> Uses:
        known = frozenset(self._known_ids())
        return {token_id: at for token_id, at in uses.items() if token_id in known}

    def _tell(self, reason: str) -> None:
        if reason != self._failure:
            _log.warning("last_uses_not_saved", reason=reason)
        self._failure = reason


def _merge(one: Uses, other: Uses) -> Uses:
    later = {token_id: max(at, one.get(token_id, at)) for token_id, at in other.items()}
    return {**one, **later}


def _read(path: Path) -> Uses:
    try:
        return LastUseFile.model_validate_json(path.read_bytes()).last_used_at
    except FileNotFoundError:
        return {}
    except (OSError, pydantic.ValidationError):
        # Too little worth to stop for; where it can't be written anew either, that is told.
        _log.warning("last_uses_not_read", file=str(path))
        return {}


def _write(path: Path, uses: Uses) -> None:
    content = LastUseFile(last_used_at=dict(uses)).model_dump_json(indent=2)
    private_file.replace(path, [content.encode(), b"\n"])
