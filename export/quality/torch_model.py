"""Runs a source model in transformers."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.quality.errors import NotVerifiableError
from export.torch_threads import let_threads_sleep


class TorchModel:
    """A LanguageModel of a Hugging Face folder or a GGUF file."""

    def __init__(self, path: Path, *, exact: bool) -> None:
        """Load `path`, in float32 when `exact`, else in the type that its weights are stored in.

        Raises:
            NotVerifiableError: when transformers can't load it.
        """
        let_threads_sleep()
        import torch
        from transformers import AutoModelForCausalLM

        place: dict[str, Any] = {"pretrained_model_name_or_path": path}
        if path.is_file():
            place = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
        try:
            with _hushed():
                model, loaded = AutoModelForCausalLM.from_pretrained(
                    **place,
                    dtype=torch.float32 if exact else "auto",
                    local_files_only=True,
                    trust_remote_code=False,
                    attn_implementation="eager",  # the others leave Gemma 2's cap of attention scores out
                    output_loading_info=True,
                )
        except Exception as error:  # a border: what a model's code raises has no common type
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise NotVerifiableError(f"transformers can't load {path.name} ({reason})") from error
        if loaded["missing_keys"]:
            raise NotVerifiableError(f"transformers finds no {min(loaded['missing_keys'])} in {path.name}")
        self._model = model.eval()

    @property
    def dtype(self) -> str:
        """The type it computes in: float32, bfloat16, ..."""
        return str(self._model.dtype).removeprefix("torch.")

    def logits(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Read `ids` [T] at once; see LanguageModel."""
        return np.asarray(self._run(ids[None], None)[0][0])

    def continue_greedily(self, prompts: NDArray[np.int64], new_tokens: int) -> NDArray[np.int64]:
        """Generate for all prompts at once; see LanguageModel."""
        written = np.empty((len(prompts), new_tokens), dtype=np.int64)
        ids, cache = prompts, None
        for step in range(new_tokens):
            logits, cache = self._run(ids, cache, last_only=True)
            written[:, step] = logits[:, -1].argmax(axis=-1)
            ids = written[:, step : step + 1]
        return written

    def _run(
        self, ids: NDArray[np.int64], cache: object, *, last_only: bool = False
    ) -> tuple[NDArray[np.float32], object]:
        import torch

        with torch.inference_mode():
            output = self._model(
                torch.from_numpy(np.ascontiguousarray(ids)),
                past_key_values=cache,
                use_cache=last_only,
                logits_to_keep=1 if last_only else 0,
            )
        return output.logits.float().numpy(), output.get("past_key_values")


@contextmanager
def _hushed() -> Iterator[None]:
    """Leave stderr to the steps: reading a GGUF file shows a bar that nothing else turns off."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.getLogger("torch").setLevel(logging.ERROR)
    with redirect_stderr(StringIO()):
        yield
