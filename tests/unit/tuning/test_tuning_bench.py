"""The search through real engine processes of the fake backend, whose speeds are scripted."""

import asyncio
import time

import psutil
import pytest

from service.engine.config import EngineConfig
from service.tuning.bench import EngineBench
from service.tuning.candidate import Candidate
from service.tuning.errors import CandidateError
from service.tuning.plan import Plan
from service.tuning.search import Search
from service.tuning.space import Stage

PASSAGES = [list(range(1, 40)), list(range(50, 100))]


def candidate(name: str, step_s: str, **properties: str) -> Candidate:
    return Candidate(name=name, properties={"step_s": step_s, **properties})


def engines() -> list[psutil.Process]:
    """Those that live; other tests have servers of their own."""
    return [child for child in psutil.Process().children() if "service.engine.worker" in child.cmdline()]


@pytest.fixture
def bench() -> EngineBench:
    config = EngineConfig(
        backend="fake",
        model_path="",
        device="CPU",
        cache_gib=1,
        max_batched_tokens=256,
        max_running=100,
        prefix_caching=True,
    )
    return EngineBench(config, PASSAGES, most_at_once=3)


async def test_scripted_speeds_lead_to_the_fast_one_and_those_that_die_are_named(bench: EngineBench) -> None:
    found = [
        candidate("fast", "0.002"),
        candidate("slow", "0.02"),
        candidate("refused", "nonsense"),
        candidate("crashing", "0.002", crash_id="7"),
        candidate("refusing", "0.002", refusal="not on this machine"),
    ]
    control = candidate("shipped", "0.01")
    plan = Plan(
        objective="balanced",
        budget_s=40,
        reference=control,
        control=control,
        baselines=(candidate("engine defaults", "0.012"),),
        stages=(Stage(name="all", share=0.5, vary=lambda _: found),),
    )
    told: list[str] = []
    search = Search(plan, bench, clock=time.monotonic, tell=lambda step, _: told.append(step))
    outcome = await search.run()
    assert outcome.winner.candidate.name == "fast"
    states = {one.candidate.name: (one.state, one.note) for one in outcome.ledger.entries}
    assert states["refused"] == ("failed", "ValueError: could not convert string to float: 'nonsense'")
    assert states["crashing"][0] == "failed"
    assert "status 70" in states["crashing"][1] or "stopped unexpectedly" in states["crashing"][1]
    assert states["refusing"][0] == "failed"
    assert "not on this machine" in states["refusing"][1]
    assert told[0] == "reading the reference"
    assert engines() == []


async def test_a_search_that_is_cancelled_leaves_no_engine_behind(bench: EngineBench) -> None:
    control = candidate("shipped", "0.01")
    plan = Plan(
        objective="balanced",
        budget_s=600,
        reference=control,
        control=control,
        baselines=(),
        stages=(Stage(name="all", share=0.5, vary=lambda _: [candidate("other", "0.01")]),),
    )
    begun = asyncio.Event()
    search = Search(
        plan, bench, clock=time.monotonic, tell=lambda step, _: begun.set() if "round" in step else None
    )
    task = asyncio.create_task(search.run())
    async with asyncio.timeout(30):
        await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engines() == []


async def test_a_prompt_that_the_engine_refuses_fails_the_candidate(bench: EngineBench) -> None:
    with pytest.raises(CandidateError, match="refused"):
        await bench.open(candidate("rejecting", "0", reject_id="1"))


async def test_when_one_request_fails_the_others_are_ended(bench: EngineBench) -> None:
    trial = await bench.open(candidate("half", "0.01", full_id="7777"))
    try:
        async with asyncio.timeout(20):
            with pytest.raises(CandidateError):
                await trial._tokens_per_s([[1, 2], [3, 4], [7777]], 1_000_000)
    finally:
        await trial.close()
    assert not [task for task in asyncio.all_tasks() if "_generate" in repr(task)]
