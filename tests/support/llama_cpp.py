"""llama.cpp's own tokenizer, in a small environment of its own: the reference for GGUF files."""

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

_REQUIREMENTS = Path(__file__).with_suffix(".txt")
_PROGRAM = Path(__file__).with_name("llama_cpp_tokenize.py")
_FOLDER = Path(__file__).resolve().parents[2] / ".cache" / "llama-cpp"
_INSTALL_LIMIT_S = 300
_TOKENIZE_LIMIT_S = 300


def llama_cpp_ids(models: Sequence[Path], texts: Sequence[str]) -> list[list[list[int]]]:
    """For each GGUF file the ids of each text, special tokens in it taken as such."""
    with tempfile.TemporaryDirectory() as folder:
        request, answer = Path(folder) / "request.json", Path(folder) / "answer.json"
        request.write_text(json.dumps({"models": [str(model) for model in models], "texts": list(texts)}))
        command = [str(_python()), str(_PROGRAM), str(request), str(answer)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_TOKENIZE_LIMIT_S)
        assert ended.returncode == 0, ended.stderr[-3000:]
        found: list[list[list[int]]] = json.loads(answer.read_text())
    return found


def _python() -> Path:
    """The interpreter of the environment, which is made when its requirements have changed."""
    stamp = _FOLDER / "installed"
    wanted = hashlib.sha256(_REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    _FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with (_FOLDER.parent / "llama-cpp.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(_FOLDER, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(_FOLDER)], check=True, timeout=_INSTALL_LIMIT_S)
            pip = [
                str(_FOLDER / "bin" / "python"),
                "-m",
                "pip",
                "install",
                "-qq",
                "--no-input",
                "--no-compile",
            ]
            options = ["--disable-pip-version-check", "--only-binary", ":all:", "-r", str(_REQUIREMENTS)]
            subprocess.run([*pip, *options], check=True, timeout=_INSTALL_LIMIT_S)
            stamp.write_text(wanted)
    return _FOLDER / "bin" / "python"
