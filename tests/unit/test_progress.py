"""A request's times: what it waits for counts as its queue."""

import time

import pytest

from service.domain import Finish, GenerationRequest, Sampling, Start
from service.engine.protocol import Done, Started, TokenDelta
from service.progress import Progress
from service.text.tokenizer import ModelTokenizer
from tests.support.tiny import tiny_tokenizer


def test_of_several_starts_the_last_one_ends_the_queue() -> None:
    accepted_s = time.monotonic() - 60
    request = GenerationRequest(prompt_ids=[1], sampling=Sampling(max_new_tokens=1))
    progress = Progress(request, ModelTokenizer(tiny_tokenizer()), accepted_s=accepted_s, prompt_texts=())
    assert progress.follow([Started(1, accepted_s + 1)]) == []
    assert progress.follow([Started(1, accepted_s + 40)]) == []
    start, _, finish = progress.follow([TokenDelta(1, [2]), Done(1, "length")])
    assert isinstance(start, Start)
    assert isinstance(finish, Finish)
    assert start.queue_s == pytest.approx(40)
    assert finish.timings.queue_s == pytest.approx(40)
    assert finish.timings.inference_s == pytest.approx(finish.timings.total_s - 40)
