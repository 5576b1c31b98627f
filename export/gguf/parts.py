"""Finds the files of a GGUF model that was split: NAME-00001-of-0000N.gguf and those after it."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from export.checksum import file_sha256
from export.errors import ConversionError

PART = re.compile(r"(?P<name>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")


def part_paths(path: Path) -> tuple[Path, ...]:
    """Every file of the model whose first is `path`, in order; `path` alone when its name is no part's.

    Nothing is looked for on the disk.
    """
    named = PART.fullmatch(path.name)
    if named is None:
        return (path,)
    count = int(named["count"])
    return tuple(_part(path, named["name"], number, count) for number in range(1, count + 1))


def model_name(path: Path) -> str:
    """The file's name without its part's number or its suffix."""
    named = PART.fullmatch(path.name)
    return named["name"] if named else path.stem


def find_parts(path: Path, part_number: int, part_count: int) -> tuple[Path, ...]:
    """The files of the split model whose first file is `path`; the numbers are those that it holds.

    Raises:
        ConversionError: when `path` is not the first part, or another is missing: each is named.
    """
    named = PART.fullmatch(path.name)
    if named is None or int(named["count"]) != part_count:
        raise ConversionError(
            f"{path.name} is part {part_number} of {part_count}, and not named so: "
            f"give all parts their names back, NAME-{part_number:05}-of-{part_count:05}.gguf"
        )
    paths = part_paths(path)
    if part_number != 1 or path != paths[0]:
        raise ConversionError(
            f"{path.name} is part {part_number} of {part_count}: name the first, {paths[0].name}"
        )
    missing = [part.name for part in paths if not part.is_file()]
    if missing:
        raise ConversionError(f"{path.parent} lacks {', '.join(missing)}: get all {part_count} parts")
    return paths


def model_sha256(path: Path) -> str:
    """The fingerprint of a GGUF model's content: of its file, or over those of all its parts."""
    paths = part_paths(path)
    if len(paths) == 1:
        return file_sha256(path)
    return _joined(paths)


def _joined(paths: Sequence[Path]) -> str:
    hashes = [file_sha256(part) for part in paths if part.is_file()]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _part(path: Path, name: str, number: int, count: int) -> Path:
    return path.with_name(f"{name}-{number:05}-of-{count:05}.gguf")
