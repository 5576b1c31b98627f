"""Reads a GGUF file's metadata."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.errors import ConversionError
from export.gguf.format import BrokenFileError, parse_head


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufFile:
    """A GGUF file's key-value pairs, and how big its tensors are."""

    path: Path
    fields: Mapping[str, Any]
    parameter_count: int
    largest_tensor: int
    size_bytes: int

    @property
    def architecture(self) -> str:
        """The model family, as GGUF names it: llama, qwen2, ..."""
        return str(self.require("general.architecture"))

    @property
    def context_length(self) -> int:
        """Tokens, prompt and answer together."""
        return int(self.require(f"{self.architecture}.context_length"))

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """The tokens that end an answer: end of sequence, and end of turn where the file tells them apart."""
        keys = ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id")
        self.require(keys[0])
        return tuple(dict.fromkeys(int(self.fields[key]) for key in keys if key in self.fields))

    def require(self, key: str) -> Any:  # noqa: ANN401 - GGUF values have any type
        """The value of `key`.

        Raises:
            ConversionError: when the file lacks it.
        """
        if key not in self.fields:
            raise ConversionError(f"{self.path.name} lacks {key}: get the model in another GGUF file")
        return self.fields[key]


def read_gguf(path: Path) -> GgufFile:
    """Read everything but the weights.

    Raises:
        ConversionError: when the file is broken, or is one part of several.
    """
    try:
        head = parse_head(path)
    except (BrokenFileError, OSError) as error:
        raise ConversionError(f"{path} can't be read as GGUF ({error}): download it again") from error
    if int(head.fields.get("split.count", 0)) > 1:
        raise ConversionError(f"{path} is one part of several: join them with llama.cpp's gguf-split --merge")
    counts = head.tensor_elements.values()
    return GgufFile(
        path=path,
        fields=head.fields,
        parameter_count=sum(counts),
        largest_tensor=max(counts, default=0),
        size_bytes=path.stat().st_size,
    )
