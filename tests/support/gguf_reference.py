"""The logits of GGUF models as transformers reads them: a program, so that torch stays out of the tests.

Arguments: an .npz file of ids `int64 [batch, tokens]` by the path of each model, and one to write logits to.
The matrices are rounded through f16, which is how a converted model stores them; vectors stay f32.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.gguf.file import read_gguf
from export.gguf.geometry import ROPE_FACTORS
from export.gguf.tensors import unpack

_ROOT = Path(__file__).resolve().parents[2]
_LIMIT_S = 300


def reference_logits(scratch: Path, ids: Mapping[Path, NDArray[np.int64]]) -> dict[Path, NDArray[np.float32]]:
    """`f32 [batch, tokens, vocabulary]` for each file."""
    paths = list(ids)
    asked, answer = scratch / "ids.npz", scratch / "logits.npz"
    np.savez(
        asked, paths=[str(path) for path in paths], **{str(n): ids[path] for n, path in enumerate(paths)}
    )
    command = [sys.executable, "-m", __name__, str(asked), str(answer)]
    ended = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=_LIMIT_S)
    assert ended.returncode == 0, ended.stderr[-3000:]
    with np.load(answer) as found:
        return {path: found[str(number)] for number, path in enumerate(paths)}


def _logits(path: Path, ids: NDArray[np.int64]) -> NDArray[Any]:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(path.parent), gguf_file=path.name, dtype=torch.float32)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.copy_(weight.half().float())
        _scale_rope(model, path)
        logits: NDArray[Any] = model.eval()(torch.from_numpy(ids)).logits.numpy()
    return logits


def _scale_rope(model: Any, path: Path) -> None:
    """Divide RoPE's frequencies by the file's factors, which transformers leaves out."""
    import torch

    factors = read_gguf(path).tensors.get(ROPE_FACTORS)
    if factors is not None:
        model.model.rotary_emb.inv_freq /= torch.from_numpy(unpack(factors))


if __name__ == "__main__":
    with np.load(sys.argv[1]) as asked:
        files = [Path(str(path)) for path in asked["paths"]]
        answers = {str(number): _logits(path, asked[str(number)]) for number, path in enumerate(files)}
    np.savez(sys.argv[2], **answers)
