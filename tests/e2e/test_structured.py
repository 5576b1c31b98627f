"""Structured output on the real model: JSON that always matches, and grammars that hurt nobody else."""

import asyncio
import itertools
import json
import time
from typing import Any

import httpx
import pytest

from benchmarks.client import Target
from benchmarks.schemas import SCHEMAS
from benchmarks.structured import StructuredSettings, run_structured
from tests.support.server import RunningServer

GOOD = {"type": "json", "value": SCHEMAS["flat object"]}
BROKEN: list[dict[str, Any]] = [
    {"type": "json", "value": "{"},
    {"type": "json", "value": {"type": "nope"}},
    {"type": "json", "value": {"type": 3}},
    {"type": "json", "value": {"properties": []}},
    {"type": "json", "value": {"$ref": "#"}},
    {"type": "json", "value": {"$ref": "#/nowhere"}},
    {"type": "json", "value": {"$ref": "https://example.com/schema"}},
    {"type": "json", "value": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
    {"type": "json", "value": {"type": "array", "items": {"$ref": "#"}, "minItems": 1}},
    {"type": "json", "value": {"type": "array", "uniqueItems": True}},
    {"type": "json", "value": {"type": "array", "maxItems": 1_000_000}},
    {"type": "json", "value": {"type": "string", "pattern": "^(.*a.*b.*c.*d.*){60}$"}},
    {"type": "json", "value": {"type": "string", "pattern": "(?=a)b"}},
    {"type": "json", "value": {"enum": []}},
    {"type": "json", "value": {"not": {"type": "string"}}},
    {"type": "regex", "value": "[a-z"},
    {"type": "regex", "value": "((a{1,500}){1,500}){1,500}"},
    {"type": "regex", "value": "(.*a.*b.*c.*d.*){60}"},
    {"type": "regex", "value": "(a|b)*a(a|b){12}"},
    {"type": "regex", "value": "x{1,100000}"},
]


def body(number: int, grammar: dict[str, Any] | None, tokens: int = 40) -> dict[str, Any]:
    parameters = {"max_new_tokens": tokens, **({"grammar": grammar} if grammar else {"ignore_eos": True})}
    return {"inputs": f"Person {number} is", "parameters": parameters}


async def test_fifty_streams_complete_while_twenty_broken_grammars_get_400(
    real_server: RunningServer,
) -> None:
    async with real_server.async_client(60) as client:
        # Its verdict is known from here on: it must not wait for those of the broken ones.
        first = await client.post("/generate", json=body(0, GOOD))
        assert first.status_code == 200, first.text

        async def stream(number: int) -> tuple[dict[str, Any], float]:
            request = body(number, GOOD if number % 2 else None)
            times, last = [time.monotonic()], ""
            async with client.stream("POST", "/generate_stream", json=request) as response:
                assert response.status_code == 200
                async for line in response.aiter_lines():
                    if line.startswith("data:"):
                        times.append(time.monotonic())
                        last = line.removeprefix("data:")
            gaps = [after - before for before, after in itertools.pairwise(times)]
            return json.loads(last), max(gaps)

        streams = [asyncio.create_task(stream(number)) for number in range(50)]
        await asyncio.sleep(0.3)
        refusals = await asyncio.gather(
            *(client.post("/generate", json=body(0, grammar)) for grammar in BROKEN)
        )
        ends = await asyncio.gather(*streams)
    assert [(refusal.status_code, refusal.json()["error"]["type"]) for refusal in refusals] == [
        (400, "validation")
    ] * 20
    assert all("grammar" in refusal.json()["error"]["message"] for refusal in refusals)
    for number, (end, longest_gap_s) in enumerate(ends):
        details = end["details"]
        assert longest_gap_s < 10
        if number % 2:
            assert details["finish_reason"] in ("eos_token", "length")
            if details["finish_reason"] == "eos_token":
                assert set(json.loads(end["generated_text"])) == {"name", "age", "member"}
        else:
            assert (details["finish_reason"], details["generated_tokens"]) == ("length", 40)


async def test_every_whole_answer_of_a_hundred_matches_its_schema(real_server: RunningServer) -> None:
    settings = StructuredSettings(
        requests=4 * len(SCHEMAS), concurrency=16, tokens=120, prompt_words=8, timeout_s=60, seed=1
    )
    host, port = real_server.address
    target = Target(host=host, port=port, token=real_server.token)
    results = await run_structured(target, settings, advance=lambda: None)
    assert results.requests >= 100
    assert results.faults == []
    assert results.valid > 0.6 * results.requests


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "additionalProperties": True},
        {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]},
    ],
    ids=str,
)
def test_no_answer_is_lost_in_blanks(real_server: RunningServer, schema: dict[str, Any]) -> None:
    with real_server.client() as client:
        request = {"inputs": "A person as JSON:", "parameters": {"max_new_tokens": 100}}
        request["parameters"]["grammar"] = {"type": "json", "value": schema}  # type: ignore[index]
        answer = client.post("/generate", json=request).json()
    text = answer["generated_text"]
    assert "\n\n" not in text
    assert " " * 21 not in text
    if answer["details"]["finish_reason"] == "eos_token":
        assert isinstance(json.loads(text), dict)


def test_a_new_good_grammar_behind_explosive_ones_is_answered(real_server: RunningServer) -> None:
    async def ask() -> list[httpx.Response]:
        async with real_server.async_client(60) as client:
            explosive = [{"type": "regex", "value": f"(.*a.*b.*c.*d.*){{{count}}}"} for count in (57, 58, 59)]
            good = {"type": "regex", "value": "(Bern|Wien)"}
            return await asyncio.gather(
                *(client.post("/generate", json=body(0, grammar, tokens=8)) for grammar in [*explosive, good])
            )

    *refused, answered = asyncio.run(ask())
    assert [answer.status_code for answer in refused] == [400] * 3
    assert answered.status_code == 200, answered.text
    assert answered.json()["generated_text"] in ("Bern", "Wien")
