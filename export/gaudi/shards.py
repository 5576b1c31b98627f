"""Writes tensors as safetensors shards with an index."""

import json
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from export.gaudi.tensors import INDEX_FILE

if TYPE_CHECKING:
    import torch

SHARD_BYTES = 2_000_000_000


class ShardWriter:
    """Collects tensors and writes a file whenever `shard_bytes` are there; the index comes with the last."""

    def __init__(self, folder: Path, shard_bytes: int = SHARD_BYTES) -> None:
        self._folder = folder
        self._shard_bytes = shard_bytes
        self._waiting: dict[str, torch.Tensor] = {}
        self._waiting_bytes = 0
        self._total_bytes = 0
        self._written: list[list[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._write()
            self._finish()

    def add(self, name: str, tensor: "torch.Tensor") -> None:
        """Take one tensor; it is written now or later."""
        size = tensor.numel() * tensor.element_size()
        if self._waiting and self._waiting_bytes + size > self._shard_bytes:
            self._write()
        self._waiting[name] = tensor.contiguous()
        self._waiting_bytes += size
        self._total_bytes += size

    def _write(self) -> None:
        from safetensors.torch import save_file

        part = self._part(len(self._written))
        save_file(self._waiting, part, metadata={"format": "pt"})
        part.chmod(0o644)  # safetensors lets the owner alone read
        self._written.append(list(self._waiting))
        self._waiting, self._waiting_bytes = {}, 0

    def _finish(self) -> None:
        """Name the files after how many there are, which is known only now."""
        count = len(self._written)
        places: dict[str, str] = {}
        for number, names in enumerate(self._written):
            file = f"model-{number + 1:05}-of-{count:05}.safetensors"
            self._part(number).rename(self._folder / file)
            places |= dict.fromkeys(names, file)
        index = {"metadata": {"total_size": self._total_bytes}, "weight_map": dict(sorted(places.items()))}
        (self._folder / INDEX_FILE).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")

    def _part(self, number: int) -> Path:
        return self._folder / f"part-{number}.safetensors"
