"""A folder with an older transformers: optimum-intel exports some architectures with it only."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

_REQUIREMENTS = Path(__file__).with_suffix(".txt")
_FOLDER = Path(__file__).resolve().parents[2] / ".cache" / "older-transformers"
_INSTALL_LIMIT_S = 300


def older_transformers() -> Path:
    """The folder, filled by pip the first time and whenever its requirements change."""
    stamp = _FOLDER / "installed"
    wanted = hashlib.sha256(_REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(_FOLDER, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--no-input", "--no-compile", "--no-deps"]
        options = ["--disable-pip-version-check", "--target", str(_FOLDER), "-r", str(_REQUIREMENTS)]
        subprocess.run([*pip, *options], check=True, timeout=_INSTALL_LIMIT_S)
        stamp.write_text(wanted)
    return _FOLDER
