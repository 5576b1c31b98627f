"""Measures how fast this machine's cores read memory together."""

import time
from collections.abc import Callable

import numpy as np
import openvino
from openvino import opset13

# Sixteen times a large shared cache: what stays in it hardly counts.
DEFAULT_BUFFER_BYTES = 512 << 20
_COLUMNS = 4096
_ELEMENT_BYTES = 4
_TIME_LIMIT_S = 0.4
_EXACT = {"INFERENCE_PRECISION_HINT": "f32"}


def read_bandwidth_bytes_per_s(buffer_bytes: int = DEFAULT_BUFFER_BYTES) -> float:
    """How fast all usable cores read memory, in under two seconds; a small buffer measures caches."""
    return MemoryReader(buffer_bytes).bytes_per_s()


class MemoryReader:
    """Holds a buffer, to read it again and again: what a shared machine gives changes within minutes.

    It is OpenVINO that reads, in sums over the rows of a matrix. In turns with a C loop of AVX-512 loads, a
    thread for each of two Zen 5 cores, it was within 5% at 47 GB/s; in a minute when the C loop read 81, it
    had read 68 just before. NumPy in as many threads never passed 45.
    """

    def __init__(self, buffer_bytes: int = DEFAULT_BUFFER_BYTES) -> None:
        rows = buffer_bytes // (_COLUMNS * _ELEMENT_BYTES)
        # Written once, so that each page is memory of its own and not the kernel's one page of zeros.
        self._buffer = np.ones((rows, _COLUMNS), np.float32)
        matrix = opset13.parameter([rows, _COLUMNS], np.float32)
        sums = openvino.Model([opset13.reduce_sum(matrix, np.array([1]))], [matrix])
        self._request = openvino.Core().compile_model(sums, "CPU", _EXACT).create_infer_request()
        self._request.set_input_tensor(openvino.Tensor(self._buffer, shared_memory=True))

    def bytes_per_s(self) -> float:
        """The best of several passes."""
        return self._buffer.nbytes / best_time_s(self._request.infer, time_limit_s=_TIME_LIMIT_S)


def best_time_s(
    do: Callable[[], object],
    *,
    time_limit_s: float,
    least_rounds: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """The shortest of the rounds that fit into the time limit, after one to warm up.

    The shortest, for whatever disturbs a round makes it longer.
    """
    do()
    times_s: list[float] = []
    while len(times_s) < least_rounds or sum(times_s) < time_limit_s:
        began_s = clock()
        do()
        times_s.append(clock() - began_s)
    return min(times_s)
