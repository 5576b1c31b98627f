"""Grammars are tried in a process of their own: whatever they do there, they cost nobody else anything."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from service.deadline import Deadline
from service.domain import GenerationRequest, Grammar
from service.engine.config import EngineConfig
from service.engine.grammar import GrammarChecker
from service.engine.process import EngineProcess, SupervisorPolicy
from service.engine.protocol import Deliver, Done, EngineStatus
from service.errors import UnavailableError, ValidationError

SCHEMA = Grammar(kind="json_schema", value='{"type": "object"}')


def tags(**changes: Any) -> Grammar:
    tag = {"begin": "<call>", "schema": {"type": "object"}, "end": "</call>"}
    return Grammar(
        kind="structural_tags", value=json.dumps({"triggers": ["<call>"], "tags": [tag], **changes})
    )


@pytest.fixture
def engine(default_model: Path) -> EngineProcess:
    config = EngineConfig(
        backend="openvino-grammar",
        model_path=str(default_model),
        device="CPU",
        cache_gib=1,
        max_batched_tokens=256,
        max_running=16,
        prefix_caching=True,
    )
    return EngineProcess(config, policy=SupervisorPolicy(stall_s=3.0))


@pytest.fixture
async def checker(engine: EngineProcess) -> AsyncIterator[GrammarChecker]:
    checker = GrammarChecker(engine)
    yield checker
    await checker.stop()


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (Grammar(kind="regex", value="[a-z"), "character 4"),
        (Grammar(kind="regex", value="(?=a)b"), "look-around"),
        (Grammar(kind="json_schema", value='{"type": "nope"}'), "`type` must be one of"),
        (Grammar(kind="json_schema", value="{"), "JSON"),
        (Grammar(kind="regex", value="((a{1,500}){1,500}){1,500}"), "5000 parts"),
        (Grammar(kind="regex", value="(.*a.*b.*c.*d.*){60}"), "takes"),
        (tags(triggers=["<other>"]), "does not match any trigger"),
        (tags(triggers=[]), "structural tag"),
        (tags(tags=[{"begin": "<call>", "schema": {"type": 3}, "end": ""}]), "`type` must be one of"),
        (tags(more=1), "more"),
    ],
    ids=str,
)
async def test_a_bad_grammar_is_refused_with_its_reason_and_a_good_one_passes_after_it(
    checker: GrammarChecker, broken: Grammar, reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason) as refusal:
        await checker.check(broken)
    assert refusal.value.param == "grammar"
    assert "/home/" not in refusal.value.message
    await checker.check(Grammar(kind="regex", value="[a-z]{3,5}"))
    await checker.check(SCHEMA)
    await checker.check(tags(at_least_one=True, stop_after_first=True))


async def test_a_refusal_names_the_field_that_the_client_used(checker: GrammarChecker) -> None:
    broken = Grammar(kind="json_schema", value='{"not": {}}')
    for name in ("grammar", "response_format"):
        with pytest.raises(ValidationError, match=f"`{name}` .*`not` is not supported") as refusal:
            await checker.check(broken, name=name)
        assert refusal.value.param == name


async def test_a_known_grammar_waits_for_no_others_and_a_new_one_for_a_bounded_time(
    checker: GrammarChecker,
) -> None:
    await checker.check(SCHEMA)
    broken = [Grammar(kind="regex", value=f"(.*a.*b.*c.*d.*){{{count}}}") for count in (59, 60)]
    broken += [Grammar(kind="regex", value=f"[a{number}") for number in range(18)]
    checks = [asyncio.create_task(checker.check(grammar)) for grammar in broken]
    await asyncio.sleep(0.05)
    async with asyncio.timeout(0.05):
        await checker.check(SCHEMA)
    assert not any(check.done() for check in checks)
    async with asyncio.timeout(20):
        await checker.check(Grammar(kind="regex", value="new"))
    refusals = await asyncio.gather(*checks, return_exceptions=True)
    assert [type(refusal) for refusal in refusals] == [ValidationError] * 20


class SlowEngine:
    """An Engine that takes its time over every request, until it is let go."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()

    async def start(self) -> None: ...

    async def wait_ready(self) -> None: ...

    async def run(
        self, request: GenerationRequest, deliver: Deliver, deadline: Deadline | None = None
    ) -> None:
        await self.may_end.wait()
        deliver([Done(0, "length")])

    def status(self) -> EngineStatus:
        return EngineStatus(
            state="ready", open_requests=0, running=0, cache_ratio=None, restarts=0, pid=None, last_error=None
        )

    async def stop(self) -> None: ...


async def test_who_waits_too_long_for_others_is_told_to_come_back_and_the_slow_check_goes_on() -> None:
    engine = SlowEngine()
    checker = GrammarChecker(engine, patience_s=0.05)
    slow = asyncio.create_task(checker.check(SCHEMA))
    await asyncio.sleep(0)
    later = Grammar(kind="regex", value="later")
    with pytest.raises(UnavailableError):
        await checker.check(later)
    assert not slow.done()
    engine.may_end.set()
    await slow
    await checker.check(later)
    await checker.stop()


async def test_the_checking_process_may_not_take_the_machines_memory(
    checker: GrammarChecker, engine: EngineProcess
) -> None:
    await checker.check(SCHEMA)
    pid = engine.status().pid
    assert pid is not None
    process = psutil.Process(pid)
    most, _ = process.rlimit(psutil.RLIMIT_DATA)
    assert process.memory_info().data < most < process.memory_info().data + 2 * 2**30


async def test_a_checker_that_never_gets_ready_is_unavailable_and_condemns_no_grammar() -> None:
    config = EngineConfig(
        backend="fake",
        model_path="",
        device="CPU",
        cache_gib=1,
        max_batched_tokens=256,
        max_running=16,
        prefix_caching=True,
    )
    broken = EngineProcess(config, python="/no/such/python")
    checker = GrammarChecker(broken, patience_s=0.3)
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await checker.check(Grammar(kind="regex", value="a"))
    await checker.stop()
