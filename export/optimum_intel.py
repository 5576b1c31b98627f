"""Exports a Hugging Face folder to 16-bit OpenVINO models through optimum-intel, which needs torch."""

import importlib.util
import logging
import os
import warnings
from pathlib import Path

from export.architecture import read_config
from export.errors import ConversionError
from export.torch_threads import let_threads_sleep
from export.transformers_limits import TEXT_TASK, as_tried, check_transformers
from service.manifest import Task


def require_extra() -> None:
    """Say how to install what the way through torch needs.

    Raises:
        ConversionError: when it is not there.
    """
    let_threads_sleep()
    for module in ("torch", "transformers", "optimum"):
        if importlib.util.find_spec(module) is None:
            raise ConversionError(
                f"converting a Hugging Face model needs {module}, which is not installed: "
                "run pip install '.[export]' in the project's folder (several GB)"
            )


def hush_libraries() -> None:
    """Leave stderr to the steps of the conversion."""
    from optimum.utils import logging as optimum_logging
    from transformers.utils import logging as transformers_logging

    optimum_logging.set_verbosity_error()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.getLogger("torch").setLevel(logging.ERROR)  # optimum undoes `logging.disable`


def export_model(folder: Path, exported: Path, task: Task) -> None:
    """Write the 16-bit OpenVINO model and its tokenizers to `exported`; no code of the model's own is run.

    Raises:
        ConversionError: when optimum-intel does not export it.
    """
    kind = str(read_config(folder).get("model_type"))
    if task == "text-generation":
        check_transformers(kind, folder.name)
    os.environ.setdefault("NNCF_CI", "1")  # or importing NNCF reports the use of it over the network
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns about every shape that becomes a constant
        try:
            from optimum.exporters.openvino import main_export
            from optimum.intel import OVConfig

            hush_libraries()
            with as_tried(kind):
                main_export(
                    str(folder),
                    output=exported,
                    task=TEXT_TASK if task == "text-generation" else task,
                    library_name="transformers",
                    ov_config=OVConfig(dtype="fp16"),
                    convert_tokenizer=True,
                    local_files_only=True,
                )
        except Exception as error:  # a border: what a model's code raises has no common type
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ConversionError(
                f"optimum-intel can't export {folder.name} ({reason}): check that the folder is whole, "
                "and that optimum-intel supports this model's type"
            ) from error
