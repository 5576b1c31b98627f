"""What one request adds to the metrics, with a clock that the test moves."""

import pytest
from prometheus_client import CollectorRegistry

from service import errors
from service.api import errors as wire
from service.domain import Finish, GenerationRequest, Sampling, Start, Timings, Token
from service.telemetry.request_metrics import FAILED, RequestMetrics
from service.telemetry.request_recorder import RequestRecorder

TOKEN = Token(id=1, text="a", piece="a", logprob=None, special=False)
START = Start(prompt_tokens=3, seed=None, queue_s=0.2)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(registry: CollectorRegistry, clock: Clock) -> RequestRecorder:
    return RequestRecorder(RequestMetrics(registry).of_model("m"), clock)


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    found = registry.get_sample_value(name, {"model": "m", **labels})
    assert found is not None, name
    return found


def finish(tokens: int, *, total_s: float, ttft_s: float) -> Finish:
    return Finish(
        reason="length",
        generated_text="a" * tokens,
        prompt_tokens=3,
        generated_tokens=tokens,
        seed=None,
        timings=Timings(queue_s=0.2, inference_s=total_s - 0.2, total_s=total_s, ttft_s=ttft_s),
    )


def test_tokens_that_come_together_are_one_wait_and_all_counted(
    recorder: RequestRecorder, registry: CollectorRegistry, clock: Clock
) -> None:
    clock.now += 0.5
    recorder.received([START, TOKEN])
    clock.now += 0.25
    recorder.received([TOKEN, TOKEN])
    clock.now += 0.25
    end = finish(4, total_s=1.0, ttft_s=0.5)
    recorder.received([TOKEN, end])
    recorder.ended(end)
    assert value(registry, "tiber_generated_tokens_total") == 4
    assert value(registry, "tiber_time_to_first_token_seconds_sum") == 0.5
    assert value(registry, "tiber_request_queue_seconds_sum") == 0.2
    assert value(registry, "tiber_inter_token_latency_seconds_count") == 2
    assert value(registry, "tiber_inter_token_latency_seconds_sum") == 0.5
    assert value(registry, "tiber_time_per_output_token_seconds_sum") == pytest.approx(0.5 / 3)
    assert value(registry, "tiber_request_mean_time_per_token_seconds_sum") == pytest.approx(0.8 / 4)
    assert value(registry, "tiber_requests_total", outcome="length") == 1


def test_an_answer_of_one_token_has_no_time_between_tokens(
    recorder: RequestRecorder, registry: CollectorRegistry
) -> None:
    end = finish(1, total_s=1.0, ttft_s=1.0)
    recorder.received([START, TOKEN, end])
    recorder.ended(end)
    assert value(registry, "tiber_inter_token_latency_seconds_count") == 0
    assert value(registry, "tiber_time_per_output_token_seconds_count") == 0
    assert value(registry, "tiber_request_generated_tokens_sum") == 1


def test_a_valid_request_is_measured_though_it_gets_no_token(
    recorder: RequestRecorder, registry: CollectorRegistry
) -> None:
    request = GenerationRequest(prompt_ids=[1, 2, 3], sampling=Sampling(max_new_tokens=7))
    recorder.validated(request, took_s=0.125)
    recorder.ended(None)
    assert value(registry, "tiber_prompt_tokens_total") == 3
    assert value(registry, "tiber_request_max_new_tokens_sum") == 7
    assert value(registry, "tiber_request_validation_seconds_sum") == 0.125
    assert value(registry, "tiber_requests_total", outcome="cancelled") == 1
    assert value(registry, "tiber_request_duration_seconds_count") == 0


def test_what_nobody_expected_counts_as_internal(
    recorder: RequestRecorder, registry: CollectorRegistry
) -> None:
    recorder.ended(ZeroDivisionError())
    assert value(registry, "tiber_requests_total", outcome="internal") == 1


@pytest.mark.parametrize(
    ("error", "word"), [(kind, word) for kind, word in FAILED.items()], ids=lambda value: str(value)
)
def test_outcomes_have_the_words_that_clients_see(error: type[errors.TiberError], word: str) -> None:
    arguments = {"retry_after_s": 1.0} if issubclass(error, errors.RetryableError) else {}
    assert wire.kind_of(error("why", **arguments)).type == word
