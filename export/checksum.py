"""Fingerprints sources."""

import hashlib
from pathlib import Path

WHOLE_BYTES = 64 << 20
SAMPLES = 64
SAMPLE_BYTES = 64 << 10


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_sha256(folder: Path) -> str:
    """A SHA-256 over a model folder: every file's name and size, and content.

    Of a file over 64 MiB it reads 64 spread samples: reading all of a big model would take longer
    than "already converted" may, and weights that were trained further differ everywhere.
    """
    digest = hashlib.sha256()
    for path in sorted(file for file in folder.rglob("*") if file.is_file() and not _is_hidden(file, folder)):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()}\0{size}\0".encode())
        with path.open("rb") as file:
            if size <= WHOLE_BYTES:
                digest.update(file.read())
                continue
            for sample in range(SAMPLES):
                file.seek(sample * (size - SAMPLE_BYTES) // (SAMPLES - 1))
                digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)
