"""Downloads files over HTTP, several at once, each from where an earlier attempt left it."""

import threading
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import BinaryIO
from urllib.parse import quote

from export.errors import ConversionError
from export.hub.cache import RepositoryCache, has_digest
from export.hub.listing import HubFile

POLL_S = 0.1


class _StoppedError(Exception):
    """The transfer was called off."""


class Transfer:
    """Downloads `files` of one commit in threads of its own; the caller waits, watches and may leave."""

    def __init__(self, cache: RepositoryCache, address: str, files: Iterable[HubFile]) -> None:
        self._cache = cache
        self._address = address
        self._waiting: SimpleQueue[HubFile] = SimpleQueue()
        for file in files:
            self._waiting.put(file)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._done_bytes = 0
        self._errors: list[Exception] = []

    def run(self, jobs: int, advance: Callable[[int], None]) -> None:
        """Download all, `jobs` at once; tells `advance` the bytes so far, of this run alone.

        Raises:
            Exception: the first that a download met, after the others were called off.
        """
        # Daemons: an interrupt must not wait for a network that hangs. What they wrote stays.
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(jobs)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(POLL_S)
                    advance(self._done_bytes)
        finally:
            self._stopped.set()
        if self._errors:
            raise self._errors[0]

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                file = self._waiting.get_nowait()
            except Empty:
                return
            try:
                self._download(file)
            except _StoppedError:
                return
            except Exception as error:  # noqa: BLE001 - a thread's border: `run` raises it
                self._errors.append(error)
                self._stopped.set()

    def _download(self, file: HubFile) -> None:
        partial = self._cache.partial(file)
        with partial.open("ab", buffering=0) as target:
            if target.tell() > file.size_bytes:
                target.truncate(0)
            begun = target.tell()
            url = f"{self._address}/{quote(file.name)}"
            _fetch(url, _Counted(target, self._count, self._stopped), begun, file.size_bytes)
        if not has_digest(partial, file.digest):
            partial.unlink()
            raise ConversionError(
                f"{file.name} arrived damaged (its checksum is not the hub's) and was removed: "
                "run the same command again to download it again"
            )
        partial.replace(self._cache.blob(file))

    def _count(self, count: int) -> None:
        with self._lock:
            self._done_bytes += count


class _Counted:
    """A file that counts what was written to it, and refuses once the transfer is called off."""

    def __init__(self, file: BinaryIO, count: Callable[[int], None], stopped: threading.Event) -> None:
        self._file = file
        self._count = count
        self._stopped = stopped

    def write(self, data: bytes) -> int:
        if self._stopped.is_set():
            raise _StoppedError
        view = memoryview(data)
        while view:  # without a buffer a write may be short
            view = view[self._file.write(view) :]
        self._count(len(data))
        return len(data)

    def seek(self, offset: int) -> int:
        return self._file.seek(offset)

    def truncate(self) -> int:
        return self._file.truncate()

    def tell(self) -> int:
        return self._file.tell()


def _fetch(url: str, target: _Counted, begun_bytes: int, size_bytes: int) -> None:
    """Download with the hub's own client: its token, its retries, its proxies."""
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # documented, not typed

    http_get(
        url,
        target,  # type: ignore[arg-type]  # the part of a binary file that it uses
        resume_size=begun_bytes,
        headers=build_hf_headers() | {"Accept-Encoding": "identity"},
        expected_size=size_bytes,
    )


def hush_client() -> None:
    """Leave stderr to the steps of the conversion."""
    import logging

    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]  # documented

    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    disable_progress_bars()
