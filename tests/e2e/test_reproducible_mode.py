"""Reproducible mode on the real engine: what a request gets does not depend on the others."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.reproducible.check import run_check
from benchmarks.reproducible.passes import CheckSettings
from export.demo_vlm.scenes import draw
from service.bootstrap import engine_config
from service.bootstrap.reproducible import REPRODUCIBLE_PROPERTIES
from service.domain import GenerationRequest, Sampling
from service.engine.backends import reproducible as backend_module
from service.engine.backends.reproducible import ReproducibleBackend
from service.engine.backends.room import Room
from service.engine.backends.rows import Rows, alike_rows
from service.engine.backends.step_size import MOST_LEAST_ROWS
from service.engine.protocol import Done, TokenDelta
from service.errors import ConfigError
from service.settings import ModelSettings
from tests.support.pictures import VISION_MODEL, data_uri, one_shape
from tests.support.server import running_server

# Long, so that the next step's bits would differ; sampled, so that one thrown out would go on otherwise.
PROMPTS = [[504 + number, 253, 198, 28, 314, 260] * 8 for number in range(6)]


@pytest.fixture
def backend(default_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReproducibleBackend]:
    """With room for two of the requests below."""
    monkeypatch.setattr(backend_module, "Room", lambda **_measured: Room(blocks=320))
    settings = ModelSettings(path=default_model, reproducible=True, cache_gib=1)
    loaded = ReproducibleBackend(engine_config(settings, "CPU"))
    yield loaded
    loaded.close()


def request(number: int, prompt_ids: list[int] | None = None) -> GenerationRequest:
    sampling = Sampling(
        max_new_tokens=24,
        ignore_eos=True,
        do_sample=True,
        temperature=1.5,
        seed=number,
        repetition_penalty=1.2,
        logprobs=True,
    )
    return GenerationRequest(prompt_ids=prompt_ids or PROMPTS[number], sampling=sampling)


def run(
    backend: ReproducibleBackend, numbers: list[int], prompts: dict[int, list[int]] | None = None
) -> dict[int, list[tuple[int, float]]]:
    """Tokens with their log-probabilities, of each."""
    for number in numbers:
        backend.add(number, request(number, prompts[number] if prompts else None))
    got: dict[int, list[tuple[int, float]]] = {number: [] for number in numbers}
    ended: list[int] = []
    while backend.running():
        for event in backend.step():
            if isinstance(event, TokenDelta):
                got[event.request_id] += zip(event.token_ids, event.logprobs or (), strict=True)
            elif isinstance(event, Done):
                ended.append(event.request_id)
    assert sorted(ended) == sorted(numbers)
    return got


def test_under_mixed_load_with_either_prefix_caching_and_after_restarts(default_model: Path) -> None:
    settings = CheckSettings(requests=24, load=12, cache_gib=1, seed=5, reproducible=True)
    results = run_check(default_model, settings, advance=lambda: None, say=lambda _line: None)
    assert results.faults == []
    assert [one.identical for one in results.passes] == [24, 24]
    for one in results.passes:
        assert 0 < one.cancelled <= one.left <= 3
        assert one.tell_cached == 6
        assert one.identical_logprobs == 24


def test_side_by_side_and_waiting_for_room_the_bits_are_those_of_the_request_alone(
    backend: ReproducibleBackend,
) -> None:
    alone = {number: run(backend, [number])[number] for number in range(len(PROMPTS))}
    assert run(backend, list(alone)) == alone


def test_wherever_a_prompt_is_cut_the_bits_are_those_of_the_whole_prompt(default_model: Path) -> None:
    # A step has room for 38 tokens of a prompt that is alone, so that 39 and 77 would leave a single one.
    # The longest may take so many steps that companions join it that last longer than the usual ones.
    lengths = (*range(37, 42), *range(75, 80), 71 * 38 + 1)
    prompts = {length: [(7 * place) % 4000 + 500 for place in range(length)] for length in lengths}

    def answers(max_batched_tokens: int, *, side_by_side: bool) -> dict[int, list[tuple[int, float]]]:
        settings = ModelSettings(
            path=default_model,
            reproducible=True,
            cache_gib=1,
            max_batched_tokens=max_batched_tokens,
            max_running_requests=16,
            properties={"INFERENCE_NUM_THREADS": "2"},
        )
        backend = ReproducibleBackend(engine_config(settings, "CPU"))
        groups = [list(prompts)] if side_by_side else [[number] for number in prompts]
        got = {number: ids for group in groups for number, ids in run(backend, group, prompts).items()}
        backend.close()
        return got

    whole = answers(512, side_by_side=False)
    assert answers(36, side_by_side=False) == whole
    assert answers(36, side_by_side=True) == whole


def test_the_bits_are_those_of_the_request_alone_where_only_a_part_of_the_numbers_of_rows_is_alike(
    default_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On any CPU that computes 5 to 40 rows alike: steps of no fewer and no more then are as good as others.
    parts = [Rows(2, 4), Rows(5, 40), Rows(41, 64)]
    monkeypatch.setattr(backend_module, "alike_rows", lambda _graph, _properties, most: parts)
    settings = ModelSettings(
        path=default_model, reproducible=True, cache_gib=1, properties={"INFERENCE_NUM_THREADS": "2"}
    )
    narrow = ReproducibleBackend(engine_config(settings, "CPU"))
    numbers = range(len(PROMPTS))
    alone = {number: run(narrow, [number])[number] for number in numbers}
    assert run(narrow, list(numbers)) == alone
    narrow.close()


async def test_pictures_of_others_change_nothing_either_or_the_cpu_is_refused(
    vision_model: Path, tmp_path: Path
) -> None:
    if _computes_many_rows_in_another_way(vision_model):
        settings = ModelSettings(path=vision_model, reproducible=True, cache_gib=1)
        with pytest.raises(ConfigError, match="vision model on this CPU"):
            ReproducibleBackend(engine_config(settings, "CPU"))
        return
    config = f'[[models]]\npath = "{vision_model}"\ncache_gib = 1\nreproducible = true\n'
    colors = ("red", "green", "blue")

    def chat(number: int) -> dict[str, Any]:
        """With no picture, one or two, and texts of several lengths."""
        pictures = [
            {"type": "image_url", "image_url": {"url": data_uri(draw(one_shape("circle", color), 224))}}
            for color in colors[: number % 3]
        ]
        text = {"type": "text", "text": "what shape? " * (1 + 9 * number)}
        return {
            "model": VISION_MODEL,
            "messages": [{"role": "user", "content": [*pictures, text]}],
            "max_tokens": 24,
            "temperature": 1.5,
            "seed": number,
            "logprobs": True,
        }

    with running_server(tmp_path, config) as server:
        async with server.async_client() as client:

            async def ask(number: int) -> Any:
                response = await client.post("/v1/chat/completions", json=chat(number))
                assert response.status_code == 200, response.text
                choice = response.json()["choices"][0]
                return choice["message"]["content"], choice["logprobs"]

            alone = [await ask(number) for number in range(6)]
            assert await asyncio.gather(*(ask(number) for number in range(6))) == alone


def _computes_many_rows_in_another_way(model: Path) -> bool:
    graph = model / "openvino_language_model.xml"
    *_, last = alike_rows(graph, REPRODUCIBLE_PROPERTIES, most=512)
    return last.least > MOST_LEAST_ROWS


def test_one_that_waits_for_room_can_be_cancelled(backend: ReproducibleBackend) -> None:
    for number in range(len(PROMPTS)):
        backend.add(number, request(number))
    assert backend.running() >= len(PROMPTS)
    for number in range(len(PROMPTS)):
        backend.cancel(number)
    while backend.running():
        assert backend.step() == []
    assert len(run(backend, [0])[0]) == 24
