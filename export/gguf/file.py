"""What a GGUF model says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.errors import ConversionError
from export.gguf.format import BrokenFileError, Head, Tensor, UnknownKindError, parse_head
from export.gguf.parts import find_parts

INSTEAD = "convert the model's Hugging Face folder instead"


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufFile:
    """A GGUF model's key-value pairs, and where its tensors are; `path` is its first file of several."""

    path: Path
    fields: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

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

    @property
    def parameter_count(self) -> int:
        """How many weights there are."""
        return sum(tensor.elements for tensor in self.tensors.values())

    @property
    def largest_tensor(self) -> int:
        """How many weights the biggest tensor has."""
        return max((tensor.elements for tensor in self.tensors.values()), default=0)

    def require(self, key: str) -> Any:  # noqa: ANN401 - GGUF values have any type
        """The value of `key`.

        Raises:
            ConversionError: when the file lacks it.
        """
        if key not in self.fields:
            raise ConversionError(f"{self.path.name} lacks {key}: get the model in another GGUF file")
        return self.fields[key]


def read_gguf(path: Path) -> GgufFile:
    """Read everything but the weights, of all parts where the model was split.

    Raises:
        ConversionError: when a file is broken, missing, or not the first of its model.
    """
    head = _read_head(path)
    count = int(head.fields.get("split.count", 0))
    if count <= 1:
        return GgufFile(path=path, fields=head.fields, tensors=head.tensors)
    parts = find_parts(path, int(head.fields.get("split.no", 0)) + 1, count)
    heads = [head, *map(_read_head, parts[1:])]
    _check_parts(parts, heads)
    tensors = {name: tensor for part in heads for name, tensor in part.tensors.items()}
    return GgufFile(path=path, fields=head.fields, tensors=tensors)


def _read_head(path: Path) -> Head:
    try:
        return parse_head(path)
    except UnknownKindError as error:
        raise ConversionError(
            f"{path.name} can't be read ({error}, which is not known): {INSTEAD}"
        ) from error
    except (BrokenFileError, OSError) as error:
        raise ConversionError(f"{path} can't be read as GGUF ({error}): download it again") from error


def _check_parts(parts: tuple[Path, ...], heads: list[Head]) -> None:
    """Refuse parts of different models."""
    for number, (path, head) in enumerate(zip(parts, heads, strict=True)):
        if (head.fields.get("split.no"), head.fields.get("split.count")) != (number, len(parts)):
            raise ConversionError(f"{path.name} is not part {number + 1} of {len(parts)}: download it again")
    there = sum(len(head.tensors) for head in heads)
    names = {name for head in heads for name in head.tensors}
    said = heads[0].fields.get("split.tensors.count", there)
    if not there == len(names) == said:
        raise ConversionError(
            f"the parts of {parts[0].name} hold {len(names)} tensors, not {said}: "
            "they are of different models; download all again"
        )
