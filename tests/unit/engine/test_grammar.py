"""Grammars are tried in a process of their own: whatever they do there, they cost nobody else anything."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.domain import Grammar
from service.engine.config import EngineConfig
from service.engine.grammar import GrammarChecker
from service.engine.process import EngineProcess, SupervisorPolicy
from service.errors import UnavailableError, ValidationError


@pytest.fixture
async def checker(default_model: Path) -> AsyncIterator[GrammarChecker]:
    config = EngineConfig(
        backend="openvino-grammar",
        model_path=str(default_model),
        device="CPU",
        cache_gib=1,
        max_batched_tokens=256,
        max_running=16,
        prefix_caching=True,
    )
    checker = GrammarChecker(EngineProcess(config, policy=SupervisorPolicy(stall_s=1.0)))
    yield checker
    await checker.stop()


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (Grammar(kind="regex", value="[a-z"), "Unclosed"),
        (Grammar(kind="json_schema", value='{"type": "nope"}'), "nope"),
        (Grammar(kind="json_schema", value="{"), "JSON"),
        (Grammar(kind="regex", value="((a{1,500}){1,500}){1,500}"), "too long"),
    ],
    ids=["open bracket", "unknown type", "not JSON", "explosive"],
)
async def test_a_bad_grammar_is_refused_with_its_reason_and_a_good_one_passes_after_it(
    checker: GrammarChecker, broken: Grammar, reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason) as refusal:
        await checker.check(broken)
    assert refusal.value.param == "grammar"
    await checker.check(Grammar(kind="regex", value="[a-z]{3,5}"))
    await checker.check(Grammar(kind="json_schema", value='{"type": "object"}'))


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
