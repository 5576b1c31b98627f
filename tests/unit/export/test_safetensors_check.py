import json
import struct
from pathlib import Path
from typing import Any

import pytest

from export.errors import ConversionError
from export.safetensors_check import check_safetensors
from tests.support.safetensors_bytes import safetensors

WHOLE = safetensors({"a": b"12345678", "b": b"1234"})


def file_with_head(head: Any, data: bytes = b"12345678") -> bytes:
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_a_whole_file_passes(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(WHOLE)
    check_safetensors([path])


@pytest.mark.parametrize("kept", range(0, len(WHOLE), 7))
def test_a_file_that_ends_anywhere_is_damaged(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(WHOLE[:kept])
    with pytest.raises(ConversionError, match=r"is damaged \(.*\): download it again"):
        check_safetensors([path])


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (struct.pack("<Q", 1 << 60) + b"{}", "does not fit"),
        (file_with_head([1]), "not a JSON object"),
        (struct.pack("<Q", 4) + b"{no}", "not JSON"),
        (file_with_head({"a": tensor([2], 0, 4)}, b"1234"), "which its shape does not fill"),
        (file_with_head({"a": tensor([1], 4, 8)}), "does not begin where"),
        (file_with_head({"a": tensor([1], 0, 4), "b": tensor([2], 0, 8)}), "does not begin where"),
        (file_with_head({"a": {"shape": [2]}}), "describes no tensors"),
        (file_with_head({"a": tensor([3], 0, 12)}), "12 bytes of tensors are announced and 8 are there"),
        (file_with_head({"a": tensor([2], 0, 8)}, b"12345678more"), "8 bytes .* and 12 are there"),
    ],
)
def test_a_head_that_lies_is_damaged(tmp_path: Path, content: bytes, part: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ConversionError, match=part) as caught:
        check_safetensors([path])
    assert "\n" not in caught.value.message


def test_what_safetensors_itself_writes_passes(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    save = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed").save_file
    path = tmp_path / "model.safetensors"
    arrays = {
        "a": numpy.zeros((3, 5), numpy.float16),
        "b": numpy.ones((), numpy.float32),
        "c": numpy.zeros((0, 4)),
    }
    save(arrays, path, metadata={"format": "pt"})
    check_safetensors([path])
