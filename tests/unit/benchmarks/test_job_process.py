"""A client process that several servers share outlives one that is gone."""

import pytest

from benchmarks import load
from benchmarks.client import Target
from benchmarks.errors import BenchmarkError
from benchmarks.peer import Peer
from benchmarks.peers.openai_api import completion_body
from benchmarks.traffic.paced_server import paced_server


def job(target: Target) -> load.LoadJob:
    body = completion_body("m", "a b", tokens=2)
    return load.LoadJob(target=target, path="/v1/completions", bodies=[body], concurrency=1, timeout_s=10)


def test_a_job_for_a_server_that_is_gone_ends_alone_and_the_next_is_done() -> None:
    client: Peer[load.LoadJob, load.LoadResult] = Peer(load.serve)
    try:
        client.wait_ready(60)
        with paced_server() as target:
            with pytest.raises(BenchmarkError, match="can't connect"):
                client.run(job(Target(host="127.0.0.1", port=1, token="")), 30)
            (reply,) = client.run(job(target), 30).replies
    finally:
        client.close()
    assert (reply.status, reply.failure) == (200, None)
