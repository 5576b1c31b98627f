"""Says in one line what went wrong between this machine and the hub, and what to do."""

from typing import TypeGuard

from export.sources import HubSource


def explain(error: Exception, source: HubSource) -> str:
    """The message for an error of the hub's client or of its HTTP library."""
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
        f"{source.repo_id}{at} can't be fetched from the Hugging Face hub ({root_cause(error)}): "
        "check the network, or name a model folder or a .gguf file on this machine"
    )


def is_unreachable(error: Exception) -> bool:
    """Whether the hub was not reached at all, so that what is cached may do."""
    import httpx
    from huggingface_hub.errors import OfflineModeIsEnabled

    return isinstance(error, httpx.ConnectError | httpx.TimeoutException | OfflineModeIsEnabled)


def is_from_disk(error: Exception) -> TypeGuard[OSError]:
    """Whether the system refused a file; the client's own errors are an OSError too, without a number."""
    return isinstance(error, OSError) and error.errno is not None


def root_cause(error: BaseException) -> str:
    """The first line of what started a chain of errors."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0]
