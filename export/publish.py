"""Makes an output folder appear whole or not at all."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from export.errors import ConversionError
from export.interrupt import signals_held
from export.quality.errors import QualityError
from service.errors import ConfigError
from service.manifest import FILE_NAME as MANIFEST_FILE

MODEL_FILE = "openvino_model.xml"
LANGUAGE_MODEL_FILE = "openvino_language_model.xml"  # instead, where the model is in parts: it sees
CHECKPOINT_FILE = "model.safetensors.index.json"  # instead, where another engine serves the model

FULL_BYTES = 16 << 20  # native code tells nothing useful of a full disk: less than this left means it was one


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """Where a conversion works, beside its output and hidden: `model` becomes the output."""

    output: Path
    root: Path
    model: Path

    def scratch(self, name: str) -> Path:
        """A path for files that are not part of the output."""
        return self.root / name

    def publish(self) -> None:
        """Put `model` in the output's place; a model there goes only now that the new one is whole."""
        _flush_to_disk(self.model)
        old = _old_path(self.output)
        try:
            with signals_held():
                if self.output.exists():
                    self.output.rename(old)
                self.model.rename(self.output)
        finally:
            if self.output.exists():
                shutil.rmtree(old, ignore_errors=True)


def _disk_fault(error: Exception, folder: Path, free_before: int) -> str | None:
    """What to say where native code met a disk that is full, or may have been: it names no reason.

    Its half-written file may be gone again, so that most of the room being used up counts as well.
    """
    free = shutil.disk_usage(folder).free
    do = "free some, or choose another --output"
    if free < FULL_BYTES:
        return f"the disk under {folder} is full: {do}"
    reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
    if free < free_before // 4:
        return f"{reason}; of {free_before >> 20} MiB under {folder} {free >> 20} are left: {do}"
    if type(error) is RuntimeError:  # OpenVINO's own
        room = f"{free >> 20} MiB free under {folder}"
        return f"OpenVINO broke off ({reason}) with {room}: if that is little, {do}"
    return None


def is_model_folder(folder: Path) -> bool:
    """Whether `folder` was published by a conversion, of whatever version."""
    has_model = any((folder / name).is_file() for name in (MODEL_FILE, LANGUAGE_MODEL_FILE, CHECKPOINT_FILE))
    return has_model and (folder / MANIFEST_FILE).is_file()


def refuse_foreign(output: Path) -> None:
    """Refuse an output that holds something else than a converted model.

    Raises:
        ConfigError: naming it; nobody's files are ever overwritten.
    """
    if output.is_dir():
        if any(output.iterdir()) and not is_model_folder(output):
            raise ConfigError(f"{output} holds files that are not a converted model: choose another --output")
    elif output.exists():
        raise ConfigError(f"{output} is a file: choose another --output")


@contextmanager
def workspace(output: Path) -> Iterator[Workspace]:
    """Own `output` for the block: one conversion at a time, nothing left behind however the block ends.

    What a killed run left is removed, or, when it died between moving the old model away and
    moving the new one in, the old model is put back.

    Raises:
        ConversionError: when another conversion has it, or it can't be written.
    """
    parent_is_new = not output.parent.exists()
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with _lock(output):
            root = _clean(output)
            free_before = shutil.disk_usage(output.parent).free
            try:
                (root / "model").mkdir(parents=True)
                yield Workspace(output=output, root=root, model=root / "model")
            except (ConfigError, QualityError):  # it went as far as it should
                raise
            except Exception as error:  # tokenizers raises nothing narrower
                message = _disk_fault(error, output.parent, free_before)
                if message is None:
                    raise
                raise ConversionError(message) from error
            finally:
                shutil.rmtree(root, ignore_errors=True)
    except OSError as error:
        place = error.filename or output
        reason = error.strerror or error
        raise ConversionError(f"can't write {place}: {reason}; choose another --output") from error
    finally:
        if parent_is_new:
            with suppress(OSError):  # it holds the output, or another conversion's
                output.parent.rmdir()


def recover(output: Path) -> None:
    """Put back the model that a run killed in the middle of publishing had moved away."""
    old = _old_path(output)
    if is_model_folder(old) and not output.exists():
        old.rename(output)


def abandon(output: Path, *, keep_parent: bool) -> None:
    """Remove what a conversion in this process has begun, from outside of it: the process is about to end.

    Safe at any moment: where the new model is not in place, the old one is, or is put back.
    """
    _end_children()
    root = _clean(output)
    for _ in range(3):  # a native call may still be writing there
        shutil.rmtree(root, ignore_errors=True)
    _lock_path(output).unlink(missing_ok=True)
    if not keep_parent:
        with suppress(OSError):
            output.parent.rmdir()


def _end_children() -> None:
    import psutil

    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()


def _clean(output: Path) -> Path:
    recover(output)
    shutil.rmtree(_old_path(output), ignore_errors=True)
    root = output.parent / f".{output.name}.partial"
    shutil.rmtree(root, ignore_errors=True)
    return root


def _old_path(output: Path) -> Path:
    return output.parent / f".{output.name}.old"


def _lock_path(output: Path) -> Path:
    return output.parent / f".{output.name}.lock"


@contextmanager
def _lock(output: Path) -> Iterator[None]:
    path = _lock_path(output)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_same_file(descriptor, path):
                break
            os.close(descriptor)  # its last owner removed it after we opened it
        except BlockingIOError as error:
            os.close(descriptor)
            raise ConversionError(f"another conversion to {output} is running: wait for it to end") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _flush_to_disk(folder: Path) -> None:
    for path in [*folder.iterdir(), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
