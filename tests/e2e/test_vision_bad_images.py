"""Broken and hostile files over HTTP, with a real engine behind."""

import httpx

from benchmarks.client import Target
from benchmarks.image_fuzz import FuzzSettings, run_image_fuzz
from tests.support.bad_images import as_inputs, bad_images, good_images, mutated
from tests.support.server import RunningServer

MOST_GROWTH_BYTES = 100 * 2**20


def test_every_bad_picture_gets_400_and_every_good_one_an_answer(vision_server: RunningServer) -> None:
    bad = bad_images()
    assert len(bad) >= 60
    engine = vision_server.engine_pid()
    with vision_server.client(timeout_s=60) as client:
        answers = {name: _post(client, data) for name, data in bad.items()}
        good = {name: _post(client, data).status_code for name, (data, _) in good_images().items()}
    assert {name for name, answer in answers.items() if answer.status_code != 400} == set()
    for name, answer in answers.items():
        error = answer.json()["error"]
        assert (error["type"], error["code"]) == ("validation", 400), name
        assert "image" in error["message"], name
    assert set(good.values()) == {200}, good
    assert vision_server.engine_pid() == engine


async def test_mutated_pictures_are_answered_or_refused_and_cost_no_memory(
    vision_server: RunningServer,
) -> None:
    # 10,000 of them: `python -m benchmarks fuzz-images`.
    settings = FuzzSettings(files=1000, warm_up=100, concurrency=8, timeout_s=60, seed=5)
    target = Target.from_url(vision_server.url, vision_server.token)
    results = await run_image_fuzz(
        target, vision_server.process.pid, mutated(5, 1100), settings, advance=lambda: None
    )
    assert results.faults == []
    assert set(results.statuses) == {200, 400}
    assert min(results.statuses.values()) > 50
    assert results.engine_restarts == 0
    assert results.rss_after_bytes - results.rss_before_bytes < MOST_GROWTH_BYTES


def _post(client: httpx.Client, data: bytes) -> httpx.Response:
    parameters = {"max_new_tokens": 1}
    return client.post("/generate", json={"inputs": as_inputs(data), "parameters": parameters})
