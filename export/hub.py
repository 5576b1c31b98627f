"""Fetches a model from the Hugging Face hub."""

from pathlib import Path

from export.architecture import find_task, read_config
from export.errors import ConversionError
from export.resources import Need, check_resources
from export.sources import HubSource
from export.vision import check_convertible

CONFIG_FILES = ("*.json", "*.jinja", "*.model", "*.txt")
SUBFOLDERS = "*/*"  # other formats, earlier checkpoints


def fetch_hub_folder(source: HubSource) -> Path:
    """Download `source` into the hub's own cache; the folder's name is the commit.

    The description comes first, so that a model that can't be converted costs no long download.

    Raises:
        ConversionError: when the hub can't be reached or refuses, when the model is of a kind that
            can't be converted, or the disk is too small.
    """
    try:
        folder = _download(source, source.revision, ["config.json"])
        if not (folder / "config.json").is_file():
            raise ConversionError(
                f"{source.repo_id} holds no config.json: choose a model in transformers' format"
            )
        config = read_config(folder)
        if find_task(config, source.repo_id) == "image-text-to-text":
            check_convertible(config, source.repo_id)
        weights = _choose_weights(source, folder)
        return _download(source, folder.name, [*CONFIG_FILES, weights])
    except ConversionError:
        raise
    except Exception as error:  # a border: the client lets its HTTP library's errors through
        raise ConversionError(_explain(error, source)) from error


def _download(source: HubSource, revision: str | None, patterns: list[str]) -> Path:
    # Not `hf_hub_download`: in huggingface_hub 1.21 its retry without a network ends in a RuntimeError.
    from huggingface_hub import snapshot_download

    folder = snapshot_download(
        source.repo_id, revision=revision, allow_patterns=patterns, ignore_patterns=SUBFOLDERS
    )
    return Path(folder)


def _choose_weights(source: HubSource, folder: Path) -> str:
    """The pattern of the weight files, after checking that they fit on the disk."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import DryRunError

    try:
        files = snapshot_download(
            source.repo_id, revision=folder.name, ignore_patterns=SUBFOLDERS, dry_run=True
        )
    except DryRunError:  # the network went away: what the cache holds may be enough
        return "*.safetensors"
    has_safetensors = any(file.filename.endswith(".safetensors") for file in files)
    suffix = ".safetensors" if has_safetensors else ".bin"
    missing = [file.file_size for file in files if file.will_download and file.filename.endswith(suffix)]
    check_resources(Need(disk=sum(missing), memory=0), folder)
    return f"*{suffix}"


def _explain(error: Exception, source: HubSource) -> str:
    from huggingface_hub import errors

    at = f" at revision {source.revision}" if source.revision else ""
    if isinstance(error, errors.GatedRepoError):
        return (
            f"{source.repo_id} needs its owner's consent: ask for access on its page, then run: hf auth login"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{source.repo_id} has no revision {source.revision}: check --revision"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"the hub has no {source.repo_id}, or it is private: check the id, or run: hf auth login"
    return (
        f"{source.repo_id}{at} can't be fetched from the Hugging Face hub ({_root_cause(error)}): "
        "check the network, or name a model folder or a .gguf file on this machine"
    )


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0]
