"""Fetches a model from the Hugging Face hub."""

from pathlib import Path

from export.architecture import check_supported, read_config
from export.errors import ConversionError
from export.resources import Need, check_resources
from export.sources import HubSource

CONFIG_FILES = ("*.json", "*.jinja", "*.model", "*.txt")
OTHER_FORMATS = ("*/*", "*.h5", "*.msgpack", "*.gguf", "*.onnx", "*.pth")


def fetch_hub_folder(source: HubSource) -> Path:
    """Download `source` into the hub's own cache; the folder's name is the commit.

    The description comes first, so that a model that can't be converted costs no long download.

    Raises:
        ConversionError: when the hub can't be reached or refuses, when the model is of a kind that
            can't be converted, or the disk is too small.
    """
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import DryRunError

    repo_id = source.repo_id
    try:
        config = Path(hf_hub_download(repo_id, "config.json", revision=source.revision))
        check_supported(read_config(config.parent), repo_id)
        commit = config.parent.name
        weights = ["*.safetensors"]
        try:
            listed = snapshot_download(repo_id, revision=commit, ignore_patterns=[*OTHER_FORMATS], dry_run=True)
        except DryRunError:  # no network: what is cached may be enough
            listed = []
        if listed and not any(file.filename.endswith(".safetensors") for file in listed):
            weights = ["*.bin"]
        wanted = [file for file in listed if file.will_download and Path(file.filename).match(weights[0])]
        check_resources(Need(disk=sum(file.file_size for file in wanted), memory=0), config.parent)
        patterns = [*CONFIG_FILES, *weights]
        folder = snapshot_download(
            repo_id, revision=commit, allow_patterns=patterns, ignore_patterns=[*OTHER_FORMATS]
        )
        return Path(folder)
    except OSError as error:  # all errors of the hub's client are
        raise ConversionError(_explain(error, source)) from error


def _explain(error: OSError, source: HubSource) -> str:
    from huggingface_hub import errors

    at = f" at revision {source.revision}" if source.revision else ""
    if isinstance(error, errors.GatedRepoError):
        return f"{source.repo_id} needs its owner's consent: ask for access on its page, then run: hf auth login"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"the hub has no {source.repo_id}, or it is private: check the id, or run: hf auth login"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{source.repo_id} has no revision {source.revision}: check --revision"
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return f"{source.repo_id}{at} holds no config.json, so it is not a model that can be converted"
    return (
        f"{source.repo_id}{at} can't be fetched from the Hugging Face hub ({_first_line(error)}): "
        "check the network, or name a model folder or a .gguf file on this machine"
    )


def _first_line(error: BaseException) -> str:
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return (str(cause).strip() or type(cause).__name__).splitlines()[0]
