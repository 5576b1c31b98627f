"""What every Backend must do: run on the fake one and on OpenVINO with the real model."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.domain import GenerationRequest, Grammar, Sampling
from service.engine.config import EngineConfig
from service.engine.protocol import Backend, Done, EngineEvent, TokenDelta
from service.engine.registry import BACKENDS, load_backend
from service.errors import ConfigError

PROMPT = [504, 253, 198, 28, 314, 260]


def _config(backend: str, model_path: str, **properties: str) -> EngineConfig:
    return EngineConfig(
        backend=backend,
        model_path=model_path,
        device="CPU",
        cache_gib=1,
        max_batched_tokens=256,
        max_running=16,
        prefix_caching=backend != "openvino-lookup",
        prompt_lookup=5 if backend == "openvino-lookup" else None,
        properties=properties,
    )


def _request(prompt_ids: list[int] | None = None, **sampling: object) -> GenerationRequest:
    fields = {"max_new_tokens": 8, "ignore_eos": True} | sampling
    return GenerationRequest(prompt_ids=prompt_ids or PROMPT, sampling=Sampling(**fields))  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=["fake", "openvino", "openvino-lookup", "openvino-reproducible"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    path = "" if request.param == "fake" else str(request.getfixturevalue("default_model"))
    loaded = load_backend(_config(request.param, path))
    yield loaded
    loaded.close()


def _run(backend: Backend, *ids: int, until: Callable[[], bool] | None = None) -> list[EngineEvent]:
    events: list[EngineEvent] = []
    for _ in range(500):
        if not backend.running() or (until is not None and until()):
            return events
        events += backend.step()
    raise AssertionError("the backend never became idle")


def _tokens(events: list[EngineEvent], request_id: int) -> list[int]:
    deltas = [event for event in events if isinstance(event, TokenDelta) and event.request_id == request_id]
    return [token_id for delta in deltas for token_id in delta.token_ids]


def test_a_request_gets_its_tokens_then_exactly_one_end(backend: Backend) -> None:
    backend.add(1, _request())
    events = _run(backend)
    assert len(_tokens(events, 1)) == 8
    assert [event for event in events if not isinstance(event, TokenDelta)] == [Done(1, "length")]
    assert events[-1] == Done(1, "length")


def test_the_end_comes_in_the_same_step_as_the_last_token(backend: Backend) -> None:
    backend.add(2, _request(max_new_tokens=1))
    steps: list[list[EngineEvent]] = []
    while backend.running():
        steps.append(backend.step())
    with_events = [step for step in steps if step]
    assert [type(event) for event in with_events[-1]] == [TokenDelta, Done]


def test_requests_side_by_side_get_what_they_get_alone(backend: Backend) -> None:
    prompts = {10: [504, 253, 198], 11: [28, 314, 260, 1141], 12: [284, 338]}
    alone = {}
    for request_id, prompt in prompts.items():
        backend.add(request_id, _request(prompt, max_new_tokens=4))
        alone[request_id] = len(_tokens(_run(backend), request_id))
    for request_id, prompt in prompts.items():
        backend.add(request_id + 10, _request(prompt, max_new_tokens=4))
    events = _run(backend)
    assert {request_id: len(_tokens(events, request_id + 10)) for request_id in prompts} == alone
    assert sorted(event.request_id for event in events if isinstance(event, Done)) == [20, 21, 22]


def test_a_cancelled_request_is_gone_within_a_step_and_says_nothing_more(backend: Backend) -> None:
    backend.add(30, _request(max_new_tokens=400))
    backend.add(31, _request(max_new_tokens=6))
    backend.step()
    backend.cancel(30)
    events = _run(backend)
    assert {event.request_id for event in events} == {31}
    assert backend.running() == 0


def test_cancelling_the_last_request_makes_the_backend_idle(backend: Backend) -> None:
    backend.add(40, _request(max_new_tokens=400))
    backend.step()
    backend.cancel(40)
    steps = 0
    while backend.running():
        assert backend.step() == []
        steps += 1
    assert steps <= 1


def test_cancelling_an_unknown_request_is_harmless(backend: Backend) -> None:
    backend.cancel(999)
    assert backend.running() == 0


def test_logprobs_come_only_when_asked_for(backend: Backend) -> None:
    backend.add(50, _request(logprobs=True))
    backend.add(51, _request(logprobs=False))
    deltas = [event for event in _run(backend) if isinstance(event, TokenDelta)]
    for delta in deltas:
        if delta.request_id == 50:
            assert delta.logprobs is not None
            assert len(delta.logprobs) == len(delta.token_ids)
            assert all(logprob <= 0 for logprob in delta.logprobs)
        else:
            assert delta.logprobs is None


def test_the_same_seed_gives_the_same_tokens(backend: Backend) -> None:
    sampled = {"do_sample": True, "temperature": 1.5, "seed": 7, "max_new_tokens": 12}
    backend.add(60, _request(**sampled))
    first = _tokens(_run(backend), 60)
    backend.add(61, _request(**sampled))
    assert _tokens(_run(backend), 61) == first


def test_an_unknown_backend_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=", ".join(BACKENDS)):
        load_backend(_config("no-such-engine", ""))


def test_openvino_seeds_differ_and_eos_ends_an_answer(default_model: Path) -> None:
    backend = load_backend(_config("openvino", str(default_model)))
    for seed in (1, 2):
        backend.add(seed, _request(do_sample=True, temperature=1.5, seed=seed, max_new_tokens=12))
    # "<|im_start|>user\nSay yes.<|im_end|>\n<|im_start|>assistant\n" ends by itself sooner or later.
    chat = [1, 4093, 198, 21350, 5952, 30, 2, 198, 1, 520, 9531, 198]
    backend.add(3, _request(chat, ignore_eos=False, max_new_tokens=400))
    events = _run(backend)
    assert _tokens(events, 1) != _tokens(events, 2)
    assert Done(3, "eos_token") in events
    assert _tokens(events, 3)[-1] == 2
    backend.close()


def test_openvino_raises_from_step_on_a_poison_grammar(default_model: Path) -> None:
    """The trap that makes any exception from step the engine's death: it passes the engine's own checks."""
    backend = load_backend(_config("openvino", str(default_model)))
    tags = '{"triggers": ["<a>"], "tags": [{"begin": "<b>", "schema": {}, "end": "</b>"}]}'
    backend.add(1, _request(grammar=Grammar(kind="structural_tags", value=tags)))
    with pytest.raises(RuntimeError):
        backend.step()
