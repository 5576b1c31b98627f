"""Asks for JSON of many schemas, and checks each answer."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jsonschema

from benchmarks.answers import parse_object
from benchmarks.client import Connection, Reply, Target, open_connections
from benchmarks.schemas import SCHEMAS
from benchmarks.workload import make_texts

_SHOWN_CHARACTERS = 200
# The highest leaves nothing of the model: any token that the grammar allows may come.
_TEMPERATURES = (0, 1, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class StructuredSettings:
    """What to send: the schemas in turns, greedy, sampled, and at a temperature that makes it all chance."""

    requests: int
    concurrency: int
    tokens: int
    prompt_words: int
    timeout_s: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StructuredResults:
    """How the answers were.

    `valid` ended by themselves, parse and match their schema. `cut` reached the limit of tokens, and say so;
    `cut_by_schema` counts these. `faults` are all others.
    """

    requests: int
    schemas: int
    valid: int
    cut: int
    cut_by_schema: dict[str, int]
    generated_tokens: int
    elapsed_s: float
    faults: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be said of one answer; `fault` is None where it is well."""

    schema: str
    is_cut: bool = False
    generated_tokens: int = 0
    fault: str | None = None


async def run_structured(
    target: Target, settings: StructuredSettings, *, advance: Callable[[], None]
) -> StructuredResults:
    """Send all requests over `concurrency` connections. Raises: BenchmarkError when nobody listens."""
    texts = make_texts(
        seed=f"{settings.seed}/structured", count=settings.requests, words=settings.prompt_words
    )
    names = list(SCHEMAS)
    waiting = list(enumerate(texts))
    verdicts: list[Verdict] = []

    async def work(connection: Connection) -> None:
        while waiting:
            number, text = waiting.pop()
            name = names[number % len(names)]
            body = structured_body(text, SCHEMAS[name], tokens=settings.tokens, number=number // len(names))
            request = target.request("POST", "/generate", body)
            reply = await connection.send(request, timeout_s=settings.timeout_s)
            verdicts.append(judge(reply, name))
            advance()

    connections = await open_connections(target, settings.concurrency)
    began_s = time.monotonic()
    await asyncio.gather(*map(work, connections))
    elapsed_s = time.monotonic() - began_s
    for connection in connections:
        connection.close()
    return summarise(verdicts, elapsed_s)


def structured_body(text: str, schema: dict[str, Any], *, tokens: int, number: int) -> bytes:
    """A request for JSON about the text; `number` decides how the tokens are chosen."""
    parameters: dict[str, Any] = {"max_new_tokens": tokens, "grammar": {"type": "json", "value": schema}}
    temperature = _TEMPERATURES[number % len(_TEMPERATURES)]
    if temperature:
        parameters |= {"temperature": temperature, "seed": number}
    return json.dumps({"inputs": f"{text}\nThe same as JSON:\n", "parameters": parameters}).encode()


def judge(reply: Reply, schema: str) -> Verdict:
    """Check an answer against the schema of that name."""
    content = parse_object(reply.content) or {}
    if reply.failure is not None or reply.status != 200:
        shown = reply.content[:_SHOWN_CHARACTERS].decode("utf-8", "replace")
        return Verdict(schema=schema, fault=f"{schema}: {reply.failure or f'status {reply.status}: {shown}'}")
    text, details = content.get("generated_text"), content.get("details") or {}
    tokens = int(details.get("generated_tokens", 0))
    if details.get("finish_reason") == "length":
        return Verdict(schema=schema, is_cut=True, generated_tokens=tokens)
    fault = (
        None if details.get("finish_reason") == "eos_token" else f"ended by {details.get('finish_reason')}"
    )
    return Verdict(
        schema=schema,
        generated_tokens=tokens,
        fault=_labelled(schema, fault or text_fault(str(text), schema)),
    )


def text_fault(text: str, schema: str) -> str | None:
    """Say why a text is no JSON of the schema of that name; None when it is."""
    validator = jsonschema.Draft202012Validator(
        SCHEMAS[schema], format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    try:
        validator.validate(json.loads(text))
    except ValueError as error:
        return f"no JSON: {error}: {text[:_SHOWN_CHARACTERS]!r}"
    except jsonschema.ValidationError as error:
        return f"does not match: {error.message}: {text[:_SHOWN_CHARACTERS]!r}"
    return None


def summarise(verdicts: list[Verdict], elapsed_s: float) -> StructuredResults:
    """Count."""
    cut = Counter(verdict.schema for verdict in verdicts if verdict.is_cut)
    faults = [verdict.fault for verdict in verdicts if verdict.fault is not None]
    valid = len(verdicts) - cut.total() - len(faults)
    return StructuredResults(
        requests=len(verdicts),
        schemas=len({verdict.schema for verdict in verdicts}),
        valid=valid,
        cut=cut.total(),
        cut_by_schema=dict(sorted(cut.items())),
        generated_tokens=sum(verdict.generated_tokens for verdict in verdicts),
        elapsed_s=elapsed_s,
        faults=faults if valid else [*faults, "not one answer was whole"],
    )


def _labelled(schema: str, fault: str | None) -> str | None:
    return None if fault is None else f"{schema}: {fault}"
