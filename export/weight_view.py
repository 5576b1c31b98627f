"""Shows the converter a model folder without the pickles that it is not to read."""

from pathlib import Path

from export.errors import ConversionError
from export.progress import Steps
from export.safetensors_check import check_safetensors
from export.weight_files import choose_weights, is_pickle, missing_shards


def checked_weights(folder: Path, scratch: Path, steps: Steps, *, allow_pickle: bool) -> tuple[Path, int]:
    """The folder to convert, and the bytes of its weights.

    It is `folder` itself, or links to its files in `scratch` where pickles lie beside safetensors:
    what is not there can't be read by accident.

    Raises:
        ConversionError: when weights are missing, damaged, or pickles that were not asked for.
    """
    names = {path.name for path in folder.iterdir() if path.is_file()}
    weights = choose_weights(names, str(folder), allow_pickle=allow_pickle)
    shards = missing_shards(folder, weights)
    if shards:
        raise ConversionError(f"{folder} lacks {shards[0]}, which its index names: get the whole model")
    size = sum((folder / name).stat().st_size for name in weights)
    if any(map(is_pickle, weights)):
        steps.note("[yellow]Reading pickle weights with torch's weights_only loader, as asked[/yellow]")
        return folder, size
    check_safetensors(sorted(folder / name for name in weights))
    if not any(map(is_pickle, names)):
        return folder, size
    view = scratch / folder.name
    view.mkdir(parents=True)
    for path in folder.iterdir():
        if not is_pickle(path.name):
            (view / path.name).symlink_to(path.resolve())
    return view, size
