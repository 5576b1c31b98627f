"""What companions take of the KV cache, and the measuring of it, which ends whatever the engine does."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import openvino
import openvino_genai as genai
import pytest

from service.engine.backends import reproducible
from service.engine.backends.companions import Companions, companion_tokens, most_companions, tokens_beside
from service.engine.backends.reproducible import ReproducibleBackend
from service.engine.backends.rows import Rows
from service.engine.config import EngineConfig
from service.errors import ConfigError, EngineError

PROBE_TOKENS = 480


class ScriptedHandle:
    def __init__(self, pipeline: "ScriptedPipeline") -> None:
        self._pipeline = pipeline
        self.is_cancelled = False

    def can_read(self) -> bool:
        return self._pipeline.steps >= self._pipeline.answers_at

    def get_status(self) -> "genai.GenerationStatus":
        status = genai.GenerationStatus
        return status.IGNORED if self._pipeline.ignores else status.RUNNING

    def read(self) -> dict[int, Any]:
        # What an engine gives that has no room left.
        return {}

    def cancel(self) -> None:
        self.is_cancelled = True


class ScriptedPipeline:
    """Answers the probe in the step `answers_at`, and says that it takes `usage` percent of the cache."""

    def __init__(
        self, *, answers_at: float = 2, usage: float = 1.5, ignores: bool = False, frees: bool = True
    ) -> None:
        self.answers_at, self.ignores = answers_at, ignores
        self.steps = 0
        self.asked_tokens: list[int] = []
        self._usage, self._frees = usage, frees
        self._handle = ScriptedHandle(self)

    def get_tokenizer(self) -> Any:
        ids = openvino.Tensor(np.zeros((1, PROBE_TOKENS), dtype=np.int64))
        return SimpleNamespace(encode=lambda _text: SimpleNamespace(input_ids=ids))

    def get_config(self) -> Any:
        return SimpleNamespace(eos_token_id=2)

    def add_request(self, *request: Any) -> ScriptedHandle:
        self.asked_tokens.append(request[-1].max_new_tokens)
        return self._handle

    def step(self) -> None:
        self.steps += 1

    def get_metrics(self) -> Any:
        return SimpleNamespace(cache_usage=self._usage)

    def has_non_finished_requests(self) -> bool:
        return not (self._frees and self._handle.is_cancelled)


def measured(pipeline: Any) -> int:
    return Companions(pipeline, Path("some-model"), 2, least_rows=2).measure_cache(4)


def test_the_part_that_a_request_takes_tells_the_whole_cache() -> None:
    assert measured(ScriptedPipeline(usage=1.5)) == 32_000


def test_a_cache_without_room_for_the_measuring_is_told_and_not_waited_for() -> None:
    with pytest.raises(ConfigError, match=r"`cache_gib` = 4 has no room for a request of 480 tokens.*raise"):
        measured(ScriptedPipeline(answers_at=float("inf"), ignores=True))


@pytest.mark.parametrize("faults", [{"answers_at": float("inf")}, {"frees": False}])
def test_an_engine_that_never_answers_or_never_frees_is_not_waited_for(faults: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match=r"within 1000 steps: take `reproducible` out"):
        measured(ScriptedPipeline(**faults))


@pytest.mark.parametrize("usage", [0.0, float("nan"), 120.0])
def test_a_part_of_the_cache_that_can_not_be_is_an_error_and_no_figure(usage: float) -> None:
    with pytest.raises(EngineError, match="its size can't be told"):
        measured(ScriptedPipeline(usage=usage))


def test_those_that_the_engine_throws_out_go_and_others_join_in_their_places() -> None:
    pipeline = ScriptedPipeline(answers_at=0, ignores=True)
    companions = Companions(cast(Any, pipeline), Path("some-model"), 2, least_rows=2)
    companions.join(1)
    assert companions.tokens == 1
    companions.read()
    assert companions.tokens == 0
    companions.leave_one()
    companions.join(1)
    assert companions.tokens == 1


def test_beside_a_long_prompt_they_outlast_its_steps() -> None:
    pipeline = ScriptedPipeline()
    companions = Companions(cast(Any, pipeline), Path("some-model"), 2, least_rows=2)
    companions.join(1)
    companions.join(1, spare=1, steps=400)
    assert companions.tokens == 3
    assert [tokens > 400 for tokens in pipeline.asked_tokens] == [False, True, True]
    companions.leave_one()
    companions.leave_one()
    companions.leave_one()
    assert companions.tokens == 1


def test_where_two_rows_are_too_few_more_of_them_stay_beside_any_number_of_requests() -> None:
    companions = Companions(cast(Any, ScriptedPipeline()), Path("some-model"), 2, least_rows=5)
    companions.join(30, spare=1)
    assert companions.tokens == 5
    companions.leave_one()
    companions.leave_one()
    assert companions.tokens == 4


def test_ever_longer_prompts_do_not_pile_them_up_and_the_long_ones_go_when_no_prompt_is_left() -> None:
    companions = Companions(cast(Any, ScriptedPipeline()), Path("some-model"), 2, least_rows=2)
    for steps in (150, 300, 600, 1200, 2400):
        companions.join(1, spare=1, steps=steps)
        assert companions.tokens <= most_companions(2)
    companions.dismiss_long()
    assert companions.tokens == 0


def test_real_requests_have_what_companions_leave() -> None:
    assert tokens_beside(10_000, 4, cache_gib=1) == 10_000 - companion_tokens(4)


def test_threads_for_which_the_cache_is_too_small_are_refused_with_figures_and_remedies() -> None:
    with pytest.raises(ConfigError) as error:
        tokens_beside(32_000, 64, cache_gib=4)
    assert error.value.message == (
        "`cache_gib` = 4 holds 32000 tokens with this model, and `reproducible` = true takes 40960 of "
        "them for 128 requests of its own: raise `cache_gib` to at least 7, or set "
        "INFERENCE_NUM_THREADS to 37 at most in `properties`"
    )
    assert tokens_beside(7 * 8_000, 64, cache_gib=7) > 0
    assert tokens_beside(32_000, 37, cache_gib=4) > 0
    with pytest.raises(ConfigError):
        tokens_beside(32_000, 38, cache_gib=4)


def test_where_no_number_of_threads_would_do_none_is_advised() -> None:
    with pytest.raises(ConfigError, match=r"raise `cache_gib` to at least \d+$"):
        tokens_beside(700, 2, cache_gib=1)


def test_companions_take_nothing_of_the_requests_and_tokens_that_were_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[EngineConfig] = []

    def engine(config: EngineConfig) -> Any:
        given.append(config)
        return SimpleNamespace(pipeline=ScriptedPipeline())

    monkeypatch.setattr(reproducible, "OpenVINOBackend", engine)
    monkeypatch.setattr(reproducible, "alike_rows", lambda _graph, _properties, most: [Rows(2, most)])
    ReproducibleBackend(
        EngineConfig(
            backend="openvino-reproducible",
            model_path="some-model",
            device="CPU",
            cache_gib=4,
            max_batched_tokens=16,
            max_running=8,
            prefix_caching=False,
            properties={"INFERENCE_NUM_THREADS": "20"},
        )
    )
    most = most_companions(20)
    assert [(one.max_batched_tokens, one.max_running) for one in given] == [(16 + most, 8 + most)]
