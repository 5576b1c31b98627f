"""Structural tags on the real model: free text until a trigger, then exactly the tag."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from service.domain import GenerationRequest, Grammar, Sampling
from service.engine.backends.openvino import OpenVINOBackend
from service.engine.config import EngineConfig
from service.engine.protocol import TokenDelta

CITY = {"type": "object", "properties": {"city": {"enum": ["Rome", "Oslo"]}}, "required": ["city"]}
TIME = {"type": "object", "properties": {"hour": {"type": "integer", "maximum": 23, "minimum": 0}}}


@pytest.fixture(scope="module")
def backend(default_model: Path) -> OpenVINOBackend:
    return OpenVINOBackend(
        EngineConfig(
            backend="openvino",
            model_path=str(default_model),
            device="CPU",
            cache_gib=1,
            max_batched_tokens=256,
            max_running=16,
            prefix_caching=True,
        )
    )


@pytest.fixture(scope="module")
def tokenizer(default_model: Path) -> Tokenizer:
    return Tokenizer.from_file(str(default_model / "tokenizer.json"))


def answer(
    backend: OpenVINOBackend, tokenizer: Tokenizer, prompt: str, tags: dict[str, Any], **sampling: Any
) -> str:
    grammar = Grammar(kind="structural_tags", value=json.dumps(tags))
    request = GenerationRequest(
        prompt_ids=tokenizer.encode(prompt).ids,
        sampling=Sampling(max_new_tokens=60, grammar=grammar, **sampling),
    )
    backend.add(1, request)
    ids: list[int] = []
    while backend.running():
        for event in backend.step():
            if isinstance(event, TokenDelta):
                ids += event.token_ids
    text: str = tokenizer.decode(ids)
    return text


def test_the_text_is_free_until_the_trigger_and_the_tag_follows_it(
    backend: OpenVINOBackend, tokenizer: Tokenizer
) -> None:
    tags = {"triggers": ["4, "], "tags": [{"begin": "4, ", "schema": CITY, "end": "!"}]}
    text = answer(backend, tokenizer, "1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2,", tags)
    before, _, after = text.partition("4, ")
    assert before.strip() == "3,"
    assert re.match(r"""\{\s*"city": ?"(Rome|Oslo)"\s*\}!""", after)


@pytest.mark.parametrize("seed", range(6))
def test_one_of_several_tags_must_follow_at_once_where_one_is_wanted(
    backend: OpenVINOBackend, tokenizer: Tokenizer, seed: int
) -> None:
    tags = {
        "triggers": ["<call>"],
        "tags": [
            {"begin": '<call>{"name": "get_city", "arguments": ', "schema": CITY, "end": "}</call>"},
            {"begin": '<call>{"name": "get_time", "arguments": ', "schema": TIME, "end": "}</call>"},
        ],
        "at_least_one": True,
        "stop_after_first": True,
    }
    # At this temperature all is chance, so the tag is the grammar's doing.
    text = answer(backend, tokenizer, "Call:", tags, do_sample=True, temperature=100.0, seed=seed)
    call = json.loads(text.removeprefix("<call>").removesuffix("</call>"))
    if call["name"] == "get_city":
        assert call["arguments"]["city"] in ("Rome", "Oslo")
    else:
        assert call["name"] == "get_time"
        assert 0 <= call["arguments"].get("hour", 0) <= 23
