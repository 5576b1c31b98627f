"""Knows with which versions of transformers optimum-intel exports a text architecture."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from export.errors import ConversionError

TEXT_TASK = "text-generation-with-past"

# optimum-intel 2.2 allows these 5.0 at most and gives no reason; as part of a vision model it allows Gemma 3
# any. tests/e2e/test_language_architectures.py compares them with transformers 5.5.4: they agree.
TRIED_KINDS = frozenset({"gemma2", "gemma3_text"})
TRIED_VERSION = "5.5.4"


def check_transformers(kind: str, model: str) -> None:
    """Refuse what optimum-intel would, with the way out.

    Raises:
        ConversionError: when it exports models of the type `kind` with an older transformers only.
    """
    from importlib.metadata import version

    from packaging.version import Version

    newest, present = newest_transformers(kind), version("transformers")
    if newest is not None and Version(present) > Version(newest):
        raise ConversionError(
            f"optimum-intel exports {kind} with transformers {newest} at most, and {present} is installed: "
            f"run optimum-cli export openvino --model {model} --task {TEXT_TASK} --weight-format fp16 DIR "
            f"in an environment of its own with transformers=={newest}, then convert DIR here"
        )


def newest_transformers(kind: str) -> str | None:
    """The last version that exports models of this type; None where there is no limit, or no such type."""
    found = _export_configuration(kind)
    limit = getattr(found, "MAX_TRANSFORMERS_VERSION", None)
    return TRIED_VERSION if limit is not None and kind in TRIED_KINDS else limit


@contextmanager
def as_tried(kind: str) -> Iterator[None]:
    """Let optimum-intel export a type that was tried here with a newer transformers than it allows."""
    if kind not in TRIED_KINDS:
        yield
        return
    found = _export_configuration(kind)
    inherited = "MAX_TRANSFORMERS_VERSION" not in vars(found)
    limit = found.MAX_TRANSFORMERS_VERSION
    found.MAX_TRANSFORMERS_VERSION = TRIED_VERSION
    try:
        yield
    finally:
        if inherited:
            del found.MAX_TRANSFORMERS_VERSION
        else:
            found.MAX_TRANSFORMERS_VERSION = limit


def _export_configuration(kind: str) -> Any:  # noqa: ANN401 - a class of optimum-intel, which has no types
    """The class that tells optimum-intel how to export a type; None where it has none."""
    import optimum.exporters.openvino.model_configs  # noqa: F401 - registers them
    from optimum.exporters.tasks import TasksManager

    try:
        made = TasksManager.get_exporter_config_constructor(
            exporter="openvino", model_type=kind, task=TEXT_TASK, library_name="transformers"
        )
    except (KeyError, ValueError):
        return None
    return getattr(made, "func", made)
