"""Changes files that only their owner may read, one process at a time, whole or not at all."""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_RETRY_S = 0.01


@contextmanager
def locked(path: Path, *, patience_s: float = 5.0) -> Iterator[None]:
    """Hold the lock for reading, changing then writing `path`; makes its folder where missing.

    The lock is a file of its own, since `path` is replaced by every write.

    Raises:
        OSError: the folder or a file in it can't be written; a TimeoutError when somebody else holds
            the lock for `patience_s`, as a stopped process would for ever.
    """
    _make_private_folder(path.parent)
    lock = path.with_name(f"{path.name}.lock")
    is_new = not lock.exists()
    with open(lock, "a", opener=_open_private) as file:
        if is_new:
            _give_to_owner(file.fileno(), path)
        deadline_s = time.monotonic() + patience_s
        while not _try_lock(file.fileno()):
            if time.monotonic() >= deadline_s:
                raise TimeoutError(0, f"another process has held its lock for {patience_s:g} s")
            time.sleep(_RETRY_S)
        yield


def replace(path: Path, pieces: Iterable[bytes]) -> os.stat_result:
    """Write `path`, readable by the owner alone; give what it was like before anybody saw it."""
    # mkstemp makes the file with mode 0600, whatever the umask.
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(descriptor)
            _give_to_owner(descriptor, path)
            status = os.fstat(descriptor)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return status


def file_stamp(path: Path) -> tuple[int, ...]:
    """Tell one state of a file from the next, cheaply; empty when there is no file."""
    try:
        status = path.stat()
    except OSError:
        return ()
    # The change time moves with a chmod too.
    return (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)


def _give_to_owner(descriptor: int, path: Path) -> None:
    """What root writes for the service stays the service's: its file's owner, else its folder's."""
    if os.geteuid() == 0:
        owner = (path if path.exists() else path.parent).stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open_private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _make_private_folder(folder: Path) -> None:
    # mkdir(parents=True) would give the folders above the default mode.
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
