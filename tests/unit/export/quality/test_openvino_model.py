"""The runner on a model of three operations, whose state and logits are known."""

import numpy as np
import openvino
import pytest
from openvino import opset13 as opset

from export.errors import ConversionError
from export.quality.layers import find_matrices, group_matrices, squared_logit_error
from export.quality.openvino_model import EXACT, OpenVinoModel

SIZE = 6


def successor_model() -> openvino.Model:
    """The logit of the token after the one read is the greatest; no state."""
    ids = opset.parameter([-1, -1], np.int64, name="input_ids")
    ids.output(0).set_names({"input_ids"})
    table = opset.constant(4 * np.roll(np.eye(SIZE, dtype=np.float32), 1, axis=1))
    logits = opset.gather(table, ids, opset.constant(0, dtype=np.int64))
    result = opset.result(logits)
    logits.output(0).set_names({"logits"})
    return openvino.Model([result], [ids], "successor")


def test_logits_are_those_of_the_model_for_each_token() -> None:
    model = OpenVinoModel(successor_model(), "CPU", EXACT)
    logits = model.logits(np.array([0, 5, 2]))
    assert (logits.shape, logits.dtype) == ((3, SIZE), np.float32)
    assert logits.argmax(axis=1).tolist() == [1, 0, 3]


@pytest.mark.parametrize("count", [1, 3, 200])
def test_greedy_writing_goes_on_from_every_prompt(count: int) -> None:
    model = OpenVinoModel(successor_model(), "CPU", EXACT)
    prompts = np.tile(np.array([[0, 1]]), (count, 1))
    assert model.continue_greedily(prompts, 5).tolist() == [[2, 3, 4, 5, 0]] * count


def test_the_settings_that_matter_are_told() -> None:
    assert OpenVinoModel(successor_model(), "CPU", EXACT).properties()["INFERENCE_PRECISION_HINT"] == "f32"


def test_an_unknown_device_is_one_line() -> None:
    with pytest.raises(ConversionError, match="does not load on NOWHERE"):
        OpenVinoModel(successor_model(), "NOWHERE", {})


def test_matrices_are_found_and_a_model_with_others_is_refused() -> None:
    (matrix,) = find_matrices(successor_model())
    assert matrix.shape == (SIZE, SIZE)
    assert group_matrices([matrix.name], [matrix]) == {"embedding": [0]}
    with pytest.raises(ConversionError, match="another version"):
        group_matrices([matrix.name, "x"], [matrix])


def test_a_shift_is_no_logit_error() -> None:
    ours = np.zeros((2, 4), dtype=np.float32)
    theirs = np.array([[1, 1, 1, 1], [2, 0, 2, 0]], dtype=np.float32)
    assert squared_logit_error(ours, theirs).tolist() == [0, 1]
