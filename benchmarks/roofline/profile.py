"""Asks OpenVINO how long each kind of operation takes in a decode step."""

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino

from benchmarks.errors import BenchmarkError
from benchmarks.roofline.graph import decoder_path

_STEPS = 32
# The first step prepares every multiplication anew, for a single token.
_WARM_UP_STEPS = 4
_RUNS_BEFORE = 1 + _WARM_UP_STEPS
_INPUTS = {"input_ids", "attention_mask", "position_ids", "beam_idx"}
# Any token but the special ones will do: nothing here depends on which.
_TOKEN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationShare:
    """One kind of operation in a decode step: how many there are, how long they take together."""

    kind: str
    count: int
    time_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A decode step of the bare model, without continuous batching. `step_s` is longer for being watched."""

    step_s: float
    shares: list[OperationShare]

    @property
    def between_s(self) -> float:
        """The time of a step that belongs to no operation."""
        return max(0.0, self.step_s - sum(share.time_s for share in self.shares))


def profile_decode(folder: Path, device: str, properties: Mapping[str, str], context_tokens: int) -> Profile:
    """Run steps of one request behind `context_tokens` others; the means.

    Raises:
        BenchmarkError: the graph has other inputs than a language model's.
    """
    core = openvino.Core()
    graph = core.read_model(decoder_path(folder))
    if {port.any_name for port in graph.inputs} != _INPUTS:
        raise BenchmarkError("--profile knows the inputs of language models alone: leave it out")
    watched = {**properties, "PERF_COUNT": "YES"}
    request = core.compile_model(graph, device, watched).create_infer_request()
    request.infer(_inputs(0, context_tokens))
    for step in range(_WARM_UP_STEPS):
        request.infer(_inputs(context_tokens + step, 1))
    before = request.get_profiling_info()
    began_s = time.perf_counter()
    for step in range(_WARM_UP_STEPS, _WARM_UP_STEPS + _STEPS):
        request.infer(_inputs(context_tokens + step, 1))
    step_s = (time.perf_counter() - began_s) / _STEPS
    return Profile(step_s=step_s, shares=_shares(before, request.get_profiling_info()))


def _shares(
    before: "list[openvino.ProfilingInfo]", after: "list[openvino.ProfilingInfo]"
) -> list[OperationShare]:
    """The timed steps alone: what the runtime tells are means over the prompt and all steps since."""
    before_s = {info.node_name: info.real_time.total_seconds() * _RUNS_BEFORE for info in before}
    counts: dict[str, int] = defaultdict(int)
    times_s: dict[str, float] = defaultdict(float)
    for info in after:
        if info.status == openvino.ProfilingInfo.Status.EXECUTED:
            total_s = info.real_time.total_seconds() * (_RUNS_BEFORE + _STEPS)
            counts[info.node_type] += 1
            times_s[info.node_type] += max(0.0, total_s - before_s.get(info.node_name, 0.0)) / _STEPS
    return [
        OperationShare(kind=kind, count=counts[kind], time_s=taken_s)
        for kind, taken_s in sorted(times_s.items(), key=lambda item: -item[1])
    ]


def _inputs(past_tokens: int, tokens: int) -> dict[str, np.ndarray]:
    return {
        "input_ids": np.full((1, tokens), _TOKEN),
        "attention_mask": np.ones((1, past_tokens + tokens), np.int64),
        "position_ids": np.arange(past_tokens, past_tokens + tokens)[None],
        "beam_idx": np.zeros(1, np.int32),
    }
