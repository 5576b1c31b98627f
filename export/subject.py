"""Tells what is known of a model before it is fetched or converted."""

from dataclasses import dataclass, field

from export.architecture import find_task, read_config
from export.catalogue import Entry, find
from export.shape import Shape, from_config, from_gguf
from export.sources import DemoSource, FolderSource, GgufSource, HubSource, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model to be converted; None where that is not known before it is fetched.

    `model_id` is what recipes know it by. `entry` is its place in the catalogue. `file_bytes` are
    those of its weights as they come.
    """

    title: str
    architecture: str | None = None
    model_id: str | None = None
    shape: Shape = field(default_factory=Shape)
    entry: Entry | None = None
    file_bytes: int | None = None
    largest_tensor: int | None = None
    is_gguf: bool = False


def describe(source: Source) -> Subject:
    """What `source` and the catalogue say; nothing is fetched.

    Raises:
        ConversionError: when the model can't be converted.
    """
    if isinstance(source, GgufSource):
        return _gguf(source)
    if isinstance(source, FolderSource):
        return _folder(source)
    if isinstance(source, HubSource):
        return _hub(source)
    entry = find(source.name)
    package = source.language_model if isinstance(source, DemoSource) else source
    return Subject(
        title=f"{source.name}, from the package {package.requirement}",
        architecture=entry.architecture if entry else None,
        shape=entry.shape if entry else Shape(),
        entry=entry,
        file_bytes=package.size_bytes,
        is_gguf=source is package,
    )


def _gguf(source: GgufSource) -> Subject:
    from export.gguf.file import read_gguf
    from export.gguf.parts import part_paths

    gguf = read_gguf(source.path)
    return Subject(
        title=f"{source.path.name}, a GGUF file",
        architecture=gguf.architecture,
        shape=from_gguf(gguf.fields, gguf.parameter_count),
        file_bytes=sum(path.stat().st_size for path in part_paths(source.path)),
        largest_tensor=gguf.largest_tensor,
        is_gguf=True,
    )


def _folder(source: FolderSource) -> Subject:
    config = read_config(source.path)
    find_task(config, source.identity)
    weights = [*source.path.glob("*.safetensors"), *source.path.glob("*.bin")]
    file_bytes = sum(file.stat().st_size for file in weights)
    return Subject(
        title=f"{source.path}, a Hugging Face folder",
        architecture=str(config.get("model_type")),
        model_id=source.identity,
        shape=from_config(config, file_bytes),
        file_bytes=file_bytes,
    )


def _hub(source: HubSource) -> Subject:
    entry = find(source.repo_id)
    shape = entry.shape if entry else Shape()
    at = f"revision {source.revision}" if source.revision else "the main branch, whose commit is recorded"
    return Subject(
        title=f"{source.repo_id} on the hub, {at}",
        architecture=entry.architecture if entry else None,
        model_id=source.repo_id,
        shape=shape,
        entry=entry,
        file_bytes=None if shape.parameters is None else 2 * shape.parameters,
    )
