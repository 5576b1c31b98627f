"""Runs an OpenVINO language model whose KV cache is its own state."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from export.errors import ConversionError

if TYPE_CHECKING:
    import openvino

# What the service sets on a CPU where nobody chose or tuned (service/tuning/machine_classes.py).
SERVED: Mapping[str, Mapping[str, str]] = {
    "CPU": {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "64"}
}
# As near to the weights' own meaning as the runtime computes.
EXACT = {
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
}
POSITIONS = 192  # read at once for several prompts
REPORTED = ("INFERENCE_PRECISION_HINT", "KV_CACHE_PRECISION", "DYNAMIC_QUANTIZATION_GROUP_SIZE")


class OpenVinoModel:
    """A LanguageModel of an OpenVINO IR."""

    def __init__(self, model: "Path | openvino.Model", device: str, properties: Mapping[str, str]) -> None:
        """Compile the model.

        Raises:
            ConversionError: when the device can't run it.
        """
        import openvino

        core = openvino.Core()
        try:
            loaded = core.read_model(model) if isinstance(model, Path) else model
            self._compiled = core.compile_model(loaded, device, dict(properties))
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ConversionError(
                f"the model does not load on {device} ({reason}): convert it again"
            ) from error
        self._request = self._compiled.create_infer_request()
        self._inputs = {name for port in self._compiled.inputs for name in port.get_names()}

    def properties(self) -> dict[str, str]:
        """The settings that change what the model computes, as the runtime reports them."""
        supported = self._compiled.get_property("SUPPORTED_PROPERTIES")
        return {name: _plain(self._compiled.get_property(name)) for name in REPORTED if name in supported}

    def logits(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Read `ids` [T] at once; see LanguageModel."""
        self._request.reset_state()
        return np.asarray(self._infer(ids[None], past=0)[0])

    def continue_greedily(self, prompts: NDArray[np.int64], new_tokens: int) -> NDArray[np.int64]:
        """Generate for all prompts at once; see LanguageModel."""
        self._request.reset_state()
        written = np.empty((len(prompts), new_tokens), dtype=np.int64)
        # The IR returns the logits of all that it reads: a few positions of all prompts at a time bound them.
        width = max(1, POSITIONS // len(prompts))
        for past in range(0, prompts.shape[1], width):
            last = self._infer(prompts[:, past : past + width], past)[:, -1]
        for step in range(new_tokens):
            written[:, step] = last.argmax(axis=-1)
            if step + 1 < new_tokens:
                last = self._infer(written[:, step : step + 1], prompts.shape[1] + step)[:, -1]
        return written

    def _infer(self, ids: NDArray[np.int64], past: int) -> NDArray[np.float32]:
        count, length = ids.shape
        positions = np.arange(past, past + length, dtype=np.int64)
        values = {
            "input_ids": ids,
            "attention_mask": np.ones((count, past + length), dtype=np.int64),
            "position_ids": np.tile(positions, (count, 1)),
            "beam_idx": np.arange(count, dtype=np.int32),
        }
        given = {name: value for name, value in values.items() if name in self._inputs}
        return np.asarray(self._request.infer(given)["logits"])


def _plain(value: object) -> str:
    """`<Type: 'bfloat16'>` as bfloat16."""
    name = getattr(value, "get_type_name", None)
    return str(name()) if name else str(value)
