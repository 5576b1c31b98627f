"""Streams' gaps and long prompts' first tokens, on the fake engine."""

from benchmarks import chunk_engine
from benchmarks.chunk_engine import ChunkJob, ChunkResult
from benchmarks.peer import Peer
from service.engine.config import EngineConfig

CONFIG = EngineConfig(
    backend="fake",
    model_path="",
    device="CPU",
    cache_gib=1,
    max_batched_tokens=256,
    max_running=16,
    prefix_caching=True,
)


def test_each_arrival_is_timed_once_and_streams_meanwhile() -> None:
    peer: Peer[ChunkJob, ChunkResult] = Peer(chunk_engine.serve, CONFIG)
    peer.wait_ready(60)
    job = ChunkJob(
        streams=[[1, 2], [3, 4]], arrivals=[[5, 6, 7], [8, 9, 10]], interval_s=0.05, arrival_tokens=4
    )
    for _ in range(2):
        result = peer.run(job, 60)
        assert result.failures == []
        assert len(result.ttft_s) == 2
        assert len(result.itl_s) >= 8
        assert min(result.itl_s) >= 0
        assert min(result.ttft_s) >= 0
    peer.close()
