"""Keeps the bans in memory and those in the file the same."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from service.auth.ban_file import BanFile, BrokenBanFileError
from service.auth.ban_table import BanTable
from service.auth.memory import MemoryFailureStore

# A service under attack writes its bans no faster than this.
_BYTES_PER_S = 2**20
_PATIENCE_S = 1.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What is in the file now; `table` None means what is in memory."""

    stamp: tuple[int, ...]
    table: BanTable | None


class BanKeeper:
    """Writes what `store` bans to `file`, and takes up what others change there.

    The file is the truth: a ban that somebody took out of it is lifted. Either way takes `pause_s` at
    most, but for a long file, which is written at 1 MiB/s: so old are the bans that may be lost when
    the process is killed without a chance to write. `clock` is the time of day.
    """

    def __init__(
        self,
        *,
        file: BanFile,
        store: MemoryFailureStore,
        max_bans: int,
        clock: Callable[[], float],
        pause_s: float = 1.0,
    ) -> None:
        self._file = file
        self._store = store
        self._max_bans = max_bans
        self._clock = clock
        self._pause_s = pause_s
        # Only the event loop changes it, and never while a thread reads it.
        self._unwritten: set[str] = set()
        self._stamp: tuple[int, ...] = ()
        self._writes_at_s = 0.0
        self._is_failing = False

    async def run(self) -> None:
        """Load the bans, then keep them until cancelled, with a last write."""
        # Not in a thread, so that no request comes in before it is done.
        self._take_up(self._try_to_exchange(is_writing=False))
        try:
            while True:
                await asyncio.sleep(self._pause_s)
                await self._keep()
        finally:
            self._unwritten.update(self._store.take_new())
            if self._unwritten:
                self._try_to_exchange(is_writing=True)

    async def _keep(self) -> None:
        self._unwritten.update(self._store.take_new())
        now_s = asyncio.get_running_loop().time()
        is_writing = bool(self._unwritten) and now_s >= self._writes_at_s
        if not is_writing and self._file.stamp() == self._stamp:
            return
        outcome = await asyncio.to_thread(self._try_to_exchange, is_writing=is_writing)
        if outcome is not None and is_writing:
            self._unwritten = set()
            self._writes_at_s = now_s + self._file.size_bytes() / _BYTES_PER_S
        self._take_up(outcome)

    def _take_up(self, outcome: _Outcome | None) -> None:
        if outcome is None:
            return
        self._stamp = outcome.stamp
        if outcome.table is not None:
            now = self._clock()
            for ban in self._store.take_new_bans(now=now):
                if ban.until > now + outcome.table.left_s(ban.address, now):
                    outcome.table.put(ban, now)
                    self._unwritten.add(ban.address)
            self._store.replace_bans(outcome.table)

    def _try_to_exchange(self, *, is_writing: bool) -> _Outcome | None:
        """Exchange, and log the first of several failures; waits for the disk."""
        try:
            outcome = self._exchange(is_writing=is_writing)
        except OSError as error:
            if not self._is_failing:
                _log.error("bans_not_kept", file=str(self._file.path), reason=error.strerror)
            self._is_failing = True
            return None
        if self._is_failing:
            _log.info("bans_kept_again", file=str(self._file.path))
        self._is_failing = False
        return outcome

    def _exchange(self, *, is_writing: bool) -> _Outcome:
        stamp = self._file.stamp()
        try:
            if not is_writing:
                return _Outcome(stamp=stamp, table=self._read())
            with self._file.locked(_PATIENCE_S):
                is_known = self._file.stamp() == self._stamp
                return self._write(None if is_known else self._read())
        except BrokenBanFileError as error:
            aside = self._file.move_aside()
            _log.error("bans_file_broken", reason=str(error), moved_to=str(aside))
            with self._file.locked(_PATIENCE_S):
                return self._write(None)

    def _read(self) -> BanTable:
        """What is in the file, and what is not yet."""
        now = self._clock()
        bans = {ban.address: ban for ban in self._file.read() if now < ban.until}
        for ban in self._store.running_bans(now=now):
            known = bans.get(ban.address)
            # An operator may have banned the address for longer meanwhile.
            if ban.address in self._unwritten and (known is None or known.until < ban.until):
                bans[ban.address] = ban
        return BanTable(self._max_bans, bans.values())

    def _write(self, table: BanTable | None) -> _Outcome:
        now = self._clock()
        bans = self._store.running_bans(now=now) if table is None else table.running(now)
        # Looked up after, the stamp could be that of somebody's change since.
        return _Outcome(stamp=self._file.write(bans), table=table)
