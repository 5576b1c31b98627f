"""Spoils one weight of a converted model, as a bug in a conversion might."""

import shutil
from pathlib import Path

import numpy as np
import openvino
from openvino import opset13 as opset


def scale_a_weight(folder: Path, *, by: float) -> None:
    """Scale the down projection of one block in the middle of the model in `folder` by this factor."""
    path = folder / "openvino_model.xml"
    model = openvino.Core().read_model(path)
    places = [node.input(1) for node in model.get_ordered_ops() if node.get_type_name() == "MatMul"]
    shapes = [place.get_partial_shape() for place in places]
    down = [
        place
        for place, shape in zip(places, shapes, strict=True)
        if shape.is_static and len(shape) == 2 and shape.to_shape()[1] > shape.to_shape()[0]
    ]
    place = down[len(down) // 2]
    scaled = opset.multiply(place.get_source_output(), opset.constant(by, dtype=np.float32))
    place.replace_source_output(scaled.output(0))
    spoilt = folder.with_name(f"{folder.name}-spoilt")
    spoilt.mkdir()
    openvino.save_model(model, spoilt / path.name, compress_to_fp16=False)
    for file in spoilt.iterdir():
        shutil.move(file, folder / file.name)
    spoilt.rmdir()
