import io
from pathlib import Path

import pytest
from rich.console import Console

from export.errors import ConversionError
from export.progress import Steps
from export.weight_view import checked_weights
from tests.support.safetensors_bytes import llama_files


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name, content in llama_files().items():
        (folder / name).write_bytes(content)
    return folder


def view(model: Path, *, allow_pickle: bool = False) -> tuple[Path, int]:
    steps = Steps(Console(file=io.StringIO()))
    return checked_weights(model, model.parent / "scratch", steps, allow_pickle=allow_pickle)


def test_a_folder_without_pickles_is_used_as_it_is(model: Path) -> None:
    assert view(model) == (model, (model / "model.safetensors").stat().st_size)


@pytest.mark.parametrize("allowed", [False, True])
def test_pickles_beside_safetensors_are_out_of_the_converters_sight(model: Path, allowed: bool) -> None:
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt"):
        (model / name).write_bytes(b"code")
    folder, _ = view(model, allow_pickle=allowed)
    assert {path.name for path in folder.iterdir()} == set(llama_files())
    assert (folder / "config.json").read_bytes() == (model / "config.json").read_bytes()


def test_pickles_alone_are_refused_unless_asked_for(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(ConversionError, match=r"pickles .* can run code .* --allow-pickle"):
        view(model)
    assert view(model, allow_pickle=True)[0] == model


def test_a_cut_off_file_and_a_missing_shard_are_found(model: Path) -> None:
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ConversionError, match="is damaged"):
        view(model)
    path.rename(model / "model-00001-of-00002.safetensors")
    (model / "model.safetensors.index.json").write_text('{"weight_map": {"w": "model-2.safetensors"}}')
    with pytest.raises(ConversionError, match=r"lacks model-2\.safetensors, which its index names"):
        view(model)
