"""Finds how many rows a step may have so that each row is multiplied as beside any other number of rows.

The CPU plugin chooses how it multiplies by the number of rows, the instructions of the CPU and the shape of
the matrix, and by another way a row's last bits are others. With INT8 weights in float32, measured: a single
row is always apart; with AVX-512 all others are alike; with AVX2 alone they are alike up to 80 rows and from
81 on, and a matrix of 8,192 columns has a third way for two to four. So each matrix of the model is tried.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import openvino
from openvino import opset13

# A single row is never alike. Between two numbers in which a matrix is alike, all are taken to be.
_TRIED = (2, 3, 4, 5, 6, 8, 12, 16, 17, 24, 32, 33, 48, 64, 65, 96, 128, 256, 512)
# From the multiplication down to the constant that it takes.
_DECOMPRESSION = ("Convert", "Subtract", "Multiply", "Reshape")


@dataclass(frozen=True, slots=True)
class Rows:
    """The steps of `least` to `most` rows, in which a row's bits do not depend on how many there are."""

    least: int
    most: int


def alike_rows(graph: Path, properties: Mapping[str, str], *, most: int) -> Iterator[Rows]:
    """The numbers of rows from 2 to `most`, in parts that are alike; each is tried when it is asked for.

    graph: the model's, to be run on the CPU with these properties.

    Raises:
        RuntimeError: the runtime can't read the graph, or run a matrix of it.
    """
    core = openvino.Core()
    matrices = [_Matrix(core, node, properties) for node in _matrices(core.read_model(graph))]
    least = 2
    for fewer, more in pairwise([*(rows for rows in _TRIED if rows < most), most]):
        for start in sorted({start for matrix in matrices for start in _starts(matrix, fewer, more)}):
            yield Rows(least, start - 1)
            least = start
    yield Rows(least, most)


class _Matrix:
    """One matrix of the model, to be multiplied by any number of rows."""

    def __init__(self, core: "openvino.Core", node: "openvino.Node", properties: Mapping[str, str]) -> None:
        is_transposed = bool(node.get_attributes()["transpose_b"])
        weights = node.input_value(1)
        columns = weights.get_shape()[1 if is_transposed else 0]
        rows = opset13.parameter([-1, columns], np.float32)
        product = opset13.matmul(rows, weights, False, is_transposed)
        model = openvino.Model([product], [rows])
        self._request = core.compile_model(model, "CPU", dict(properties)).create_infer_request()
        self._row = np.random.default_rng(0).standard_normal((1, columns), dtype=np.float32)
        self._known: dict[int, bytes] = {}

    def differs(self, rows: int, others: int) -> bool:
        """Whether a row has other bits among so many than among so many others."""
        return self._bits(rows) != self._bits(others)

    def _bits(self, rows: int) -> bytes:
        """The row that comes of so many times the same one; like no other if its place in them counts."""
        if rows not in self._known:
            product = self._request.infer({0: np.repeat(self._row, rows, axis=0)})[0]
            distinct = {row.tobytes() for row in product}
            self._known[rows] = distinct.pop() if len(distinct) == 1 else b"%d rows" % rows
        return self._known[rows]


def _starts(matrix: _Matrix, fewer: int, more: int) -> Iterator[int]:
    """Where between two numbers of rows, the greater included, other parts begin."""
    while matrix.differs(fewer, more):
        fewer = _first_unlike(matrix, fewer, more)
        yield fewer


def _first_unlike(matrix: _Matrix, fewer: int, more: int) -> int:
    """The least number of rows above `fewer`, and up to `more`, that is not like `fewer`."""
    while more - fewer > 1:
        middle = (fewer + more) // 2
        if matrix.differs(fewer, middle):
            more = middle
        else:
            fewer = middle
    return more


def _matrices(model: "openvino.Model") -> "Iterable[openvino.Node]":
    """A multiplication by a constant of each kind: of its shape, its type and the shapes of its scales."""
    found: dict[tuple[object, ...], openvino.Node] = {}
    for node in model.get_ordered_ops():
        if node.get_type_name() == "MatMul" and (kind := _kind(node)):
            found.setdefault(kind, node)
    return found.values()


def _kind(node: "openvino.Node") -> tuple[object, ...]:
    """What the ways of multiplying may depend on; empty where it is not by a constant matrix."""
    weights = node.input_value(1)
    kind: list[object] = [node.get_attributes()["transpose_b"], weights.get_partial_shape().to_string()]
    source = weights.get_node()
    while source.get_type_name() in _DECOMPRESSION:
        kind += [tuple(other.get_partial_shape().to_string() for other in source.input_values()[1:])]
        source = source.input_value(0).get_node()
    if source.get_type_name() != "Constant" or len(weights.get_partial_shape()) != 2:
        return ()
    return (*kind, source.get_element_type().to_string())
