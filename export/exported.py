"""Looks into a folder that optimum-cli has exported."""

from pathlib import Path
from typing import TYPE_CHECKING

from export.errors import ConversionError

if TYPE_CHECKING:
    import openvino

FULL_WIDTH = ("f16", "f32", "bf16", "f64", "i32", "i64", "boolean")


def refuse_compressed(folder: Path) -> None:
    """Refuse weights that are compressed already: they can't be compressed again, nor called 16-bit.

    Raises:
        ConversionError: naming the file and what its weights are.
    """
    import openvino

    core = openvino.Core()
    for path in sorted(folder.glob("openvino_*model.xml")):
        for node in core.read_model(path).get_ops():
            if node.get_type_name() != "Constant" or not _is_matrix(node):
                continue
            width = node.get_output_element_type(0).get_type_name()
            if width not in FULL_WIDTH:
                raise ConversionError(
                    f"{path} holds {width} weights: export the model again with --weight-format fp16"
                )


def _is_matrix(node: "openvino.Node") -> bool:
    return len(node.get_output_shape(0)) > 1
