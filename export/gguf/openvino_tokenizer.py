"""Writes the OpenVINO tokenizer and detokenizer of a folder that has a tokenizer.json.

Run as a program it does so for the folder named; it works in a process of its own because transformers,
whose tokenizer class OpenVINO's converter wants, would import torch where that is installed: seconds
and memory for nothing.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TextIO

from export.errors import ConversionError
from service.manifest import TOKENIZER_FILE

CHECKOUT = Path(__file__).resolve().parents[2]
CHAT_TEMPLATE_FILE = "chat_template.jinja"
ROLES = ("bos", "eos", "pad")


@contextmanager
def writing_openvino_tokenizer(folder: Path) -> Iterator[Callable[[], None]]:
    """Write `openvino_tokenizer` and `openvino_detokenizer` from the folder's own files while the block runs.

    The block gets what waits for the end, which raises ConversionError when OpenVINO's converter
    can't take the tokenizer. Leaving the block without that ends the work.
    """
    paths = os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", __name__, str(folder)]
    with TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            env=os.environ | {"PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            yield partial(_finish, process, errors)
        finally:
            process.kill()
            process.wait()


def _finish(process: "subprocess.Popen[bytes]", errors: TextIO) -> None:
    if process.wait() == 0:
        return
    errors.seek(0)
    reason = (errors.read().strip().splitlines() or [f"exit code {process.returncode}"])[-1]
    raise ConversionError(
        f"OpenVINO can't take the file's tokenizer ({reason}): "
        "install the extra again with pip install '.[convert]'"
    )


def _convert(folder: Path) -> None:
    sys.modules["torch"] = None  # type: ignore[assignment]  # documented: an import of it then fails
    import openvino
    from openvino_tokenizers import convert_tokenizer
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **_roles(folder, tokenizer)
    )
    template = folder / CHAT_TEMPLATE_FILE
    if template.is_file():
        wrapped.chat_template = template.read_text(encoding="utf-8")
    pair = convert_tokenizer(wrapped, with_detokenizer=True, clean_up_tokenization_spaces=False)
    for model, name in zip(pair, ("openvino_tokenizer", "openvino_detokenizer"), strict=True):
        openvino.save_model(model, folder / f"{name}.xml", compress_to_fp16=False)


def _roles(folder: Path, tokenizer: Any) -> dict[str, str]:  # noqa: ANN401 - tokenizers ships no types
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    ids = {role: config.get(f"{role}_token_id") for role in ROLES}
    names = {
        f"{role}_token": tokenizer.id_to_token(token) for role, token in ids.items() if token is not None
    }
    return {role: name for role, name in names.items() if name is not None}


if __name__ == "__main__":
    _convert(Path(sys.argv[1]))
