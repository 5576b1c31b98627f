import shutil
from pathlib import Path

import pytest

from export.errors import ConversionError
from export.existing import source_sha256
from export.gguf.file import read_gguf
from export.sources import GgufSource
from tests.support.gguf_files import TinyModel, write_tiny_gguf, write_tiny_parts
from tests.support.vocabularies import small

MODEL = TinyModel(architecture="llama", vocabulary=small())


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    found = write_tiny_parts(tmp_path, "tiny", MODEL, 8)
    assert [path.name for path in found] == [f"tiny-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    return found


def test_parts_are_read_as_one_model(parts: list[Path], tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "whole.gguf", MODEL)
    whole, joined = read_gguf(tmp_path / "whole.gguf"), read_gguf(parts[0])
    assert joined.tensors.keys() == whole.tensors.keys()
    assert {tensor.path for tensor in joined.tensors.values()} == set(parts)
    assert (joined.parameter_count, joined.architecture) == (whole.parameter_count, "llama")


def test_a_missing_part_is_named(parts: list[Path]) -> None:
    parts[1].unlink()
    with pytest.raises(ConversionError, match=r"lacks tiny-00002-of-00003\.gguf: get all 3 parts"):
        read_gguf(parts[0])


def test_a_later_part_points_to_the_first(parts: list[Path]) -> None:
    with pytest.raises(ConversionError, match=r"is part 2 of 3: name the first, tiny-00001-of-00003\.gguf"):
        read_gguf(parts[1])


def test_a_part_of_another_name_is_refused(parts: list[Path]) -> None:
    renamed = parts[0].rename(parts[0].with_name("model.gguf"))
    with pytest.raises(ConversionError, match=r"model\.gguf is part 1 of 3, and not named so"):
        read_gguf(renamed)


def test_parts_that_were_swapped_are_called_damage(parts: list[Path]) -> None:
    shutil.copy(parts[2], parts[1])
    with pytest.raises(ConversionError, match=r"tiny-00002-of-00003\.gguf is not part 2 of 3"):
        read_gguf(parts[0])


def test_a_part_of_another_model_is_refused(parts: list[Path], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    others = write_tiny_parts(tmp_path / "other", "tiny", MODEL, 8)
    other = TinyModel(architecture="qwen2", vocabulary=small())
    others = write_tiny_parts(tmp_path / "other", "tiny", other, 10)
    shutil.copy(others[1], parts[1])
    with pytest.raises(ConversionError, match="they are of different models"):
        read_gguf(parts[0])


def test_a_truncated_part_is_called_broken(parts: list[Path]) -> None:
    parts[1].write_bytes(parts[1].read_bytes()[:-1000])
    with pytest.raises(
        ConversionError, match=r"00002-of-00003\.gguf can't be read as GGUF .* ends too early"
    ):
        read_gguf(parts[0])


def test_the_models_name_and_fingerprint_are_those_of_all_parts(parts: list[Path]) -> None:
    source = GgufSource(path=parts[0])
    assert source.name == "tiny"
    before = source_sha256(source)
    with parts[2].open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x55")
    assert source_sha256(source) != before
