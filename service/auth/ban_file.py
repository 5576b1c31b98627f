"""The file that bans outlive a restart in."""

import asyncio
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from typing import Literal

import msgspec

from service.auth.failures import Ban
from service.auth.private_file import locked, replace
from service.errors import ConfigError

# Encoding holds the interpreter lock: all at once, 100,000 bans would hold it for 20 ms.
_BANS_A_PIECE = 1000


class _Content(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    schema_version: Literal[1]
    bans: list[Ban]


class BrokenBanFileError(Exception):
    """The file holds something else than bans."""


class BanFile:
    """The file at `path`, which several processes may change; missing, it holds no ban."""

    def __init__(self, path: Path) -> None:
        # Replacing a link would leave what it leads to as it was.
        self.path = Path(os.path.realpath(path))

    def stamp(self) -> tuple[int, ...]:
        """Tell one state of the file from the next; empty when there is no file."""
        try:
            return _stamp(self.path.stat())
        except OSError:
            return ()

    def size_bytes(self) -> int:
        """How long it is; 0 when there is none."""
        return self.path.stat().st_size if self.path.exists() else 0

    def locked(self, patience_s: float = 5.0) -> AbstractContextManager[None]:
        """Keep other processes from changing the file."""
        return locked(self.path, patience_s=patience_s)

    def read(self) -> list[Ban]:
        """Give all bans, those that are over too.

        Raises:
            BrokenBanFileError: it is no file of bans.
            OSError: it can't be read.
        """
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=_Content).bans
        except FileNotFoundError:
            return []
        except msgspec.MsgspecError as error:
            raise BrokenBanFileError(str(error)) from error

    def write(self, bans: Iterable[Ban]) -> tuple[int, ...]:
        """Replace all bans, and give the file's new stamp; hold the lock.

        Raises:
            OSError: it can't be written.
        """
        return _stamp(replace(self.path, _pieces(bans)))

    def move_aside(self) -> Path:
        """Make room for a new file, in place of whatever was moved aside before."""
        aside = self.path.with_name(f"{self.path.name}.broken")
        return self.path.replace(aside)


class FileBanList:
    """The BanList of a service that keeps bans in memory and in a file."""

    def __init__(self, file: BanFile) -> None:
        self._file = file

    async def bans(self, *, now: float) -> Sequence[Ban]:
        """Those that are running, the one that ends first before the others."""
        return await asyncio.to_thread(self._running, now)

    async def ban(self, address: str, *, until: float, now: float, reason: str) -> None:
        """Ban an address in place of any ban that it has."""
        ban = Ban(address=address, until=until, reason=reason)
        await asyncio.to_thread(self._change, address, ban, now)

    async def lift(self, address: str, *, now: float) -> bool:
        """End a ban; False when none was running."""
        return await asyncio.to_thread(self._change, address, None, now)

    def _running(self, now: float) -> list[Ban]:
        with self._told_of_errors():
            running = [ban for ban in self._file.read() if now < ban.until]
        return sorted(running, key=lambda ban: (ban.until, ban.address))

    def _change(self, address: str, new: Ban | None, now: float) -> bool:
        with self._told_of_errors(), self._file.locked():
            bans = {ban.address: ban for ban in self._file.read() if now < ban.until}
            was_running = bans.pop(address, None) is not None
            if new is not None:
                bans[address] = new
            if was_running or new is not None:
                self._file.write(bans.values())
        return was_running

    @contextmanager
    def _told_of_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigError(
                f"The file of bans {self._file.path} can't be used: {error.strerror}"
            ) from error
        except BrokenBanFileError as error:
            raise ConfigError(
                f"The file of bans {self._file.path} is broken ({error}). Move it away"
            ) from error


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    # Without the time of its change, which moves when the file takes its place.
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def _pieces(bans: Iterable[Ban]) -> Iterator[bytes]:
    yield b'{"schema_version": 1, "bans": ['
    encode, remaining, separator = msgspec.json.encode, iter(bans), b"\n"
    while piece := list(islice(remaining, _BANS_A_PIECE)):
        yield separator + b",\n".join(encode(ban) for ban in piece)
        separator = b",\n"
    yield b"\n]}\n"
