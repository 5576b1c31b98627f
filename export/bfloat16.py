"""Holds a model's 16-bit weights as bfloat16."""

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import openvino

SMALLEST_WEIGHT = 1_024  # numbers: scales and shapes below it stay as they are


def narrow_to_bfloat16(model: "openvino.Model") -> "openvino.Model":
    """Change every big f16 or f32 matrix of `model` to bf16, in place; return it.

    Exact for weights that were bf16 before they became f16, but for the tiniest (f16 has fewer exponents).
    """
    import openvino
    from openvino import opset13

    wide = (openvino.Type.f16, openvino.Type.f32)
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Constant" or node.get_element_type() not in wide:
            continue
        shape = node.get_output_shape(0)
        is_matrix = sum(side > 1 for side in shape) > 1  # norms and biases stay f32
        if not is_matrix or math.prod(shape) < SMALLEST_WEIGHT:
            continue
        constant = opset13.constant(_rounded(node.data), shared_memory=False)
        constant.set_friendly_name(node.get_friendly_name())
        for target in list(node.output(0).get_target_inputs()):
            user = target.get_node()
            if user.get_type_name() == "Convert":  # the one that unpacks f16: it unpacks bf16 as well
                target.replace_source_output(constant.output(0))
            else:
                unpacked = opset13.convert(constant, node.get_element_type().get_type_name())
                target.replace_source_output(unpacked.output(0))
    model.validate_nodes_and_infer_types()
    return model


def _rounded(values: Any) -> "openvino.Tensor":  # noqa: ANN401 - NumPy is not imported here
    """`values` (f16 or f32) as bf16, rounded to nearest, ties to even."""
    import numpy
    import openvino

    bits = numpy.ascontiguousarray(values, dtype=numpy.float32).view(numpy.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)
    tensor = openvino.Tensor(openvino.Type.bf16, list(values.shape))
    tensor.data.view(numpy.uint16)[...] = rounded
    return tensor
