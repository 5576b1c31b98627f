"""Publishes a converted folder to a repository of the hub, when asked to by name."""

import warnings
from collections.abc import Callable
from pathlib import Path

from export.errors import ConversionError
from export.hub.explain import root_cause
from export.hub.transfer import hush_client
from export.model_card import write_card
from export.origin import find_origin
from export.progress import Steps
from export.sources import HUB_ID, Source
from service.errors import ConfigError

Publisher = Callable[[Path, Source, Steps], str]
"""Publishes a folder; returns the address of what it made."""


def publisher(repo_id: str, *, private: bool) -> Publisher:
    """What publishes to `repo_id`; asked for before the conversion, so that nothing is found out after it.

    Raises:
        ConfigError: when the id is none, or no token is there.
    """
    if not HUB_ID.fullmatch(repo_id):
        raise ConfigError(f"--push {repo_id} is no hub id: write it as ORG/NAME")
    from huggingface_hub import constants, get_token

    constants.HF_HUB_DISABLE_XET = True  # one protocol, plain LFS, which every hub and mirror speaks

    if get_token() is None:
        raise ConfigError(f"--push {repo_id} needs a token that may write there: run hf auth login")
    return lambda folder, source, steps: _push(folder, source, repo_id, steps, private=private)


def _push(folder: Path, source: Source, repo_id: str, steps: Steps, *, private: bool) -> str:
    from huggingface_hub import CommitOperationAdd, HfApi

    hush_client()
    api = HfApi()
    try:
        origin = find_origin(source)
        card = write_card(folder, repo_id, origin.license_id, origin.base_model)
        files = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
        contents: dict[str, Path | bytes] = {**files, "README.md": card.encode()}
        with steps.step(f"Publishing {len(contents)} files to {repo_id}"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # huggingface_hub 1.21 uploads in a way that httpx deprecates
            api.create_repo(repo_id, private=private or None, exist_ok=True)
            if private and not api.repo_info(repo_id).private:
                raise ConfigError(f"{repo_id} exists and is public: make it private there first")
            commit = api.create_commit(
                repo_id,
                [CommitOperationAdd(name, content) for name, content in contents.items()],
                commit_message=f"Converted by tiber-serve: {folder.name}",
            )
    except ConfigError:
        raise
    except Exception as error:  # a border: the client lets its HTTP library's errors through
        raise ConversionError(
            f"{folder} is converted and could not be published to {repo_id} ({root_cause(error)}): check "
            "that the token may write there (hf auth whoami), then run the same command again"
        ) from error
    return str(commit.commit_url)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
