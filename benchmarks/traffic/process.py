"""Runs the sender in a process of its own."""

import asyncio
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe

import uvloop

from benchmarks.peer import Peer, serve_jobs
from benchmarks.traffic.jobs import Progress, TrafficJob, TrafficResult
from benchmarks.traffic.sender import Sender, send_all

_READY_S = 60.0
# The child says how far it is each second; pictures of 512 requests take a while to draw.
_SILENCE_S = 120.0
_PROGRESS_S = 1.0
_LOOK_S = 0.1


class TrafficProcess:
    """Our end of the load process."""

    def __init__(self) -> None:
        self._peer: Peer[TrafficJob | None, Progress | TrafficResult] = Peer(serve)

    def wait_ready(self) -> None:
        """Wait until the child can begin. Raises: BenchmarkError when it can't."""
        self._peer.wait_ready(_READY_S)

    def run(self, job: TrafficJob, on_progress: Callable[[Progress], None]) -> TrafficResult:
        """Do a job; Ctrl-C ends it with what was measured so far.

        Raises:
            BenchmarkError: nobody listens at the target, or the child died.
        """
        self._peer.send(job)
        try:
            return self._result(on_progress)
        except KeyboardInterrupt:
            self._peer.send(None)
            return self._result(lambda _: None)

    def close(self) -> None:
        """End the child."""
        self._peer.close()

    def _result(self, on_progress: Callable[[Progress], None]) -> TrafficResult:
        while isinstance(message := self._peer.receive(_SILENCE_S), Progress):
            on_progress(message)
        return message


def serve(pipe: Pipe) -> None:
    """Be the child: do each job until its end, or until the next message."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        async def watch(sender: Sender) -> None:
            looks = 0
            while not pipe.poll():
                await asyncio.sleep(_LOOK_S)
                looks += 1
                if looks % round(_PROGRESS_S / _LOOK_S) == 0:
                    pipe.send(sender.progress())
            pipe.recv()

        def do(job: TrafficJob | None) -> TrafficResult:
            # A message to stop that came when there was nothing left to stop.
            if job is None:
                return TrafficResult(samples=[], unfinished=0, was_stopped=True)
            return runner.run(send_all(job, watch))

        serve_jobs(pipe, lambda: do)
