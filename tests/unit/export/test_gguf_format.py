import struct
from pathlib import Path

import pytest
from gguf_bytes import FIELDS, gguf_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from export.errors import ConversionError
from export.gguf.file import read_gguf
from export.gguf.format import BrokenFileError, parse_head


def written(folder: Path, content: bytes) -> Path:
    path = folder / "model.gguf"
    path.write_bytes(content)
    return path


def test_fields_and_tensor_sizes_come_back(tmp_path: Path) -> None:
    fields = FIELDS | {"a.flag": True, "a.number": 0.5, "a.nested": [[1, 2], [3]]}
    head = parse_head(written(tmp_path, gguf_bytes(fields, {"token_embd.weight": [64, 16], "norm": [64]})))
    assert head.fields == fields
    shapes = {
        name: (tensor.shape, tensor.kind.name, tensor.size_bytes) for name, tensor in head.tensors.items()
    }
    assert shapes == {"token_embd.weight": ((16, 64), "F32", 4096), "norm": ((64,), "F32", 256)}


@settings(max_examples=50)
@given(st.integers(min_value=0, max_value=len(gguf_bytes(FIELDS, {"a": [2]})) - 1))
def test_a_file_cut_anywhere_is_called_broken(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    path = written(tmp_path_factory.mktemp("cut"), gguf_bytes(FIELDS, {"a": [2]})[:length])
    with pytest.raises(BrokenFileError):
        parse_head(path)


def test_an_unknown_version_is_called_broken(tmp_path: Path) -> None:
    with pytest.raises(BrokenFileError, match="version 9"):
        parse_head(written(tmp_path, gguf_bytes(FIELDS, version=9)))


def test_a_broken_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"can't be read as GGUF .* download it again"):
        read_gguf(written(tmp_path, b"GGUF"))


def test_a_tensor_of_an_unknown_type_is_refused_by_its_number(tmp_path: Path) -> None:
    content = gguf_bytes(FIELDS, {"a": [2]})
    at = content.rindex(b"a" + struct.pack("<IQ", 1, 2)) + 13
    with pytest.raises(ConversionError, match=r"tensor a is of type 99, which is not known\): convert"):
        read_gguf(written(tmp_path, content[:at] + struct.pack("<I", 99) + content[at + 4 :]))


def test_rows_that_do_not_fill_blocks_are_called_damage(tmp_path: Path) -> None:
    content = gguf_bytes(FIELDS, {"a": [2]})
    at = content.rindex(b"a" + struct.pack("<IQ", 1, 2)) + 13
    with pytest.raises(ConversionError, match=r"no multiple of Q4_1's blocks"):
        read_gguf(written(tmp_path, content[:at] + struct.pack("<I", 3) + content[at + 4 :]))


@pytest.mark.parametrize("alignment", [0, "32", 1 << 30])
def test_an_impossible_alignment_is_called_damage(tmp_path: Path, alignment: int | str) -> None:
    with pytest.raises(ConversionError, match="an alignment of"):
        read_gguf(written(tmp_path, gguf_bytes(FIELDS | {"general.alignment": alignment}, {"a": [2]})))


def test_the_description_tells_context_and_end_tokens(tmp_path: Path) -> None:
    gguf = read_gguf(
        written(tmp_path, gguf_bytes(FIELDS | {"tokenizer.ggml.eot_token_id": 1}, {"a": [2, 3], "b": [4]}))
    )
    assert (gguf.architecture, gguf.context_length, gguf.eos_token_ids) == ("llama", 512, (0, 1))
    assert (gguf.parameter_count, gguf.largest_tensor) == (10, 6)


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    gguf = read_gguf(written(tmp_path, gguf_bytes({"general.architecture": "llama"})))
    with pytest.raises(ConversionError, match=r"lacks llama\.context_length"):
        _ = gguf.context_length
