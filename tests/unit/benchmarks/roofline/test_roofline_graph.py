"""Bytes and FLOPs of a graph small enough to count by hand."""

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from benchmarks.errors import BenchmarkError
from benchmarks.roofline.cost import ModelCost
from benchmarks.roofline.graph import count

HIDDEN, HEADS, HEAD_SIZE, VOCABULARY = 8, 2, 4, 10


def compressed(rows: int, columns: int) -> openvino.Node:
    """INT8 weights with a scale (f16) and a zero point (u8) for each row: columns + 3 bytes a row."""
    weights = ops.convert(ops.constant(np.ones((rows, columns), np.uint8)), np.float16)
    zero_points = ops.convert(ops.constant(np.ones((rows, 1), np.uint8)), np.float16)
    scales = ops.constant(np.ones((rows, 1), np.float16))
    return ops.convert(ops.multiply(ops.subtract(weights, zero_points), scales), np.float32)


def heads_of(vectors: openvino.Node) -> openvino.Node:
    """[batch, tokens, hidden] -> [batch, heads, tokens, size]."""
    split = ops.reshape(vectors, np.array([0, 0, HEADS, HEAD_SIZE]), True)
    return ops.transpose(split, np.array([0, 2, 1, 3]))


def decoder(*, is_tied: bool) -> openvino.Model:
    """An embedding, one layer of attention with its cache, a norm's weights, lm_head."""
    ids = ops.parameter([-1, -1], np.int64)
    table = compressed(VOCABULARY, HIDDEN)
    hidden = ops.gather(table, ids, np.array(0))
    query, key, value = (heads_of(ops.matmul(hidden, compressed(HIDDEN, HIDDEN), False, True)) for _ in "qkv")
    cached, assigns = [], []
    for name, new in (("key", key), ("value", value)):
        info = openvino.op.util.VariableInfo()
        info.data_shape = openvino.PartialShape([-1, HEADS, -1, HEAD_SIZE])
        info.data_type = openvino.Type.f32
        info.variable_id = name
        variable = openvino.op.util.Variable(info)
        joined = ops.concat([ops.read_value(variable), new], 2)
        assigns.append(ops.assign(joined, variable))
        cached.append(joined)
    attended = ops.scaled_dot_product_attention(query, *cached)
    merged = ops.reshape(ops.transpose(attended, np.array([0, 2, 1, 3])), np.array([0, 0, HIDDEN]), True)
    normed = ops.multiply(merged, ops.constant(np.ones(HIDDEN, np.float32)))
    lm_head = table if is_tied else compressed(VOCABULARY, HIDDEN)
    logits = ops.result(ops.matmul(normed, lm_head, False, True))
    return openvino.Model([logits], assigns, [ids])


MATRIX_BYTES = HIDDEN * (HIDDEN + 3)
TABLE_BYTES = VOCABULARY * (HIDDEN + 3)
NORM_BYTES = 4 * HIDDEN


def test_a_step_reads_the_matrices_and_one_row_of_the_embeddings() -> None:
    cost = count(decoder(is_tied=False))

    assert cost.weight_bytes == 3 * MATRIX_BYTES + TABLE_BYTES + NORM_BYTES
    assert cost.lm_head_bytes == TABLE_BYTES
    assert cost.embedding_row_bytes == HIDDEN + 3


def test_embeddings_that_lm_head_shares_are_counted_once() -> None:
    cost = count(decoder(is_tied=True))

    assert cost.weight_bytes == 3 * MATRIX_BYTES + TABLE_BYTES + NORM_BYTES
    assert cost.embedding_row_bytes == 0


def test_each_weight_is_two_flops_and_attention_two_for_each_of_query_key_and_value() -> None:
    cost = count(decoder(is_tied=False))

    assert cost.layer_flops == 3 * 2 * HIDDEN * HIDDEN
    assert cost.lm_head_flops == 2 * VOCABULARY * HIDDEN
    assert cost.attention_flops == 2 * HEADS * (HEAD_SIZE + HEAD_SIZE)
    assert (cost.kv_elements, cost.kv_heads) == (2 * HEADS * HEAD_SIZE, 2 * HEADS)


def test_a_graph_without_a_matrix_before_the_logits_is_refused() -> None:
    ids = ops.parameter([-1, HIDDEN], np.float32)

    with pytest.raises(BenchmarkError, match="logits"):
        count(openvino.Model([ops.add(ids, ops.constant(np.float32(1)))], [ids]))


def test_a_mixture_of_experts_is_refused() -> None:
    vectors = ops.parameter([3, -1, HIDDEN], np.float32)
    experts = ops.constant(np.ones((3, HIDDEN, HIDDEN), np.float32))

    with pytest.raises(BenchmarkError, match="experts"):
        count(openvino.Model([ops.matmul(vectors, experts, False, True)], [vectors]))


COST = ModelCost(
    weight_bytes=1000,
    lm_head_bytes=400,
    embedding_row_bytes=10,
    layer_flops=600,
    lm_head_flops=400,
    attention_flops=8,
    kv_elements=16,
    kv_heads=2,
)


@pytest.mark.parametrize(("precision", "bytes_a_token"), [("u8", 32), ("u4", 24), ("f16", 32), ("f32", 64)])
def test_the_cache_is_read_once_for_each_token_behind(precision: str, bytes_a_token: int) -> None:
    assert COST.decode_bytes(100, precision) == 1010 + 100 * bytes_a_token


def test_an_unknown_cache_precision_is_refused_by_name() -> None:
    with pytest.raises(BenchmarkError, match="f8"):
        COST.decode_bytes(1, "f8")


def test_a_prompt_attends_causally_and_needs_lm_head_for_its_last_token_alone() -> None:
    assert COST.prefill_flops(3) == 3 * 600 + 400 + (1 + 2 + 3) * 8
    assert COST.decode_flops(3) == 600 + 400 + 3 * 8
