"""Streams whose first token brings no text, or never comes; and what is due to who still reads."""

import json
import time
from pathlib import Path

import httpx
import pytest

from tests.support.exposition import Exposition
from tests.support.server import running_server
from tests.support.tiny import fake_model


def _texts(response: httpx.Response) -> list[str]:
    data = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    assert data.pop() == "[DONE]"
    return [choice["text"] for event in data for choice in json.loads(event)["choices"]]


def test_a_stream_that_begins_with_a_part_of_a_character_is_whole(tiny_model: Path, tmp_path: Path) -> None:
    with running_server(tmp_path, fake_model(tiny_model, step_s=0.05)) as server, server.client() as client:
        # Two bytes, each of them a token; the model repeats its prompt.
        body = {"prompt": "é", "max_tokens": 6, "temperature": 0, "stream": True}
        for _ in range(2):
            # On the same connection: nothing may be left over from the first answer.
            assert "".join(_texts(client.post("/v1/completions", json=body))) == "ééé"


def test_a_client_that_leaves_before_the_first_token_is_told_as_one_that_left(
    tiny_model: Path, tmp_path: Path
) -> None:
    with running_server(tmp_path, fake_model(tiny_model, step_s=0.5)) as server:
        with pytest.raises(httpx.ReadTimeout), server.client(timeout_s=0.2) as client:
            client.post("/generate_stream", json={"inputs": "abc"})
        deadline_s = time.monotonic() + 5
        labels = {"route": "/generate_stream", "status": "499"}
        while ("tiber_http_requests_total", frozenset(labels.items())) not in Exposition.of(
            server.url
        ).series():
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
