"""Measures one contender once."""

import os
from dataclasses import dataclass

import psutil

from benchmarks import load
from benchmarks.client import Reply
from benchmarks.compare.entrant import Entrant
from benchmarks.compare.results import Round
from benchmarks.errors import BenchmarkError
from benchmarks.peer import Peer
from benchmarks.peers.openai_api import Answer, completion_body, read_answer
from benchmarks.stats import gaps, percentile

_REQUEST_TIMEOUT_S = 600.0
# Background work of a quiet machine stays well below this part of its time.
_MOST_OTHERS_SHARE = 0.05

Client = Peer[load.LoadJob, load.LoadResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A round with its samples, in seconds."""

    round: Round
    ttft_s: list[float]
    itl_s: list[float]

    @property
    def is_disturbed(self) -> bool:
        """Whether others took so much CPU that the round says little."""
        others_s = self.round.others_cpu_s
        return others_s is not None and others_s > _MOST_OTHERS_SHARE * self.round.wall_s * _cores()


def measure(
    entrant: Entrant, client: Client, prompts: list[str], *, concurrency: int, tokens: int
) -> Measured:
    """Stream the prompts from a contender, `concurrency` at a time.

    Raises:
        BenchmarkError: it is gone, or a stream did not bring exactly `tokens` tokens.
    """
    with entrant.turn() as serving:
        bodies = [completion_body(serving.model, prompt, tokens=tokens) for prompt in prompts]
        before = _Cpu.read(entrant, client)
        bursts = []
        # One job a burst, so that each request has a connection of its own: some servers close theirs.
        for start in range(0, len(bodies), concurrency):
            job = load.LoadJob(
                target=serving.target,
                path=serving.path,
                bodies=bodies[start : start + concurrency],
                concurrency=concurrency,
                timeout_s=_REQUEST_TIMEOUT_S,
            )
            bursts.append(client.run(job, 2 * _REQUEST_TIMEOUT_S).replies)
        cpu = _Cpu.read(entrant, client).since(before)
    return summarise(bursts, tokens=tokens, cpu_s=cpu.contender_s, others_cpu_s=cpu.others_s)


def summarise(
    bursts: list[list[Reply]], *, tokens: int, cpu_s: float | None, others_cpu_s: float | None
) -> Measured:
    """Put the replies of one measurement together. Raises: BenchmarkError for a stream that is wrong."""
    read = [_answers(replies, tokens) for replies in bursts]
    answers = [answer for burst in read for answer in burst]
    wall_s = sum(map(_wall_s, read))
    ttft_s = [one.token_times_s[0] - one.sent_s for one in answers]
    itl_s = [gap for one in answers for gap in gaps(one.token_times_s)]
    total = sum(one.tokens for one in answers)
    return Measured(
        round=Round(
            wall_s=wall_s,
            tokens=total,
            prompt_tokens=sum(one.prompt_tokens for one in answers),
            events=sum(len(one.token_times_s) for one in answers),
            tokens_per_s=total / wall_s,
            ttft_p50_s=percentile(ttft_s, 50),
            ttft_p99_s=percentile(ttft_s, 99),
            itl_p50_s=percentile(itl_s, 50),
            itl_p99_s=percentile(itl_s, 99),
            cpu_s=cpu_s,
            others_cpu_s=others_cpu_s,
            retried=sum(reply.was_retried for burst in bursts for reply in burst),
        ),
        ttft_s=ttft_s,
        itl_s=itl_s,
    )


def _answers(replies: list[Reply], tokens: int) -> list[Answer]:
    found = [read_answer(reply, tokens=tokens) for reply in replies]
    faults = [one for one in found if isinstance(one, str)]
    if faults:
        raise BenchmarkError(f"{len(faults)} of {len(found)} requests failed; the first: {faults[0]}")
    return [one for one in found if isinstance(one, Answer)]


def _wall_s(burst: list[Answer]) -> float:
    return max(one.token_times_s[-1] for one in burst) - min(one.sent_s for one in burst)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cpu:
    contender_s: float | None
    others_s: float | None

    @classmethod
    def read(cls, entrant: Entrant, client: Client) -> "_Cpu":
        contender_s = entrant.cpu_s()
        if contender_s is None:
            return cls(contender_s=None, others_s=None)
        machine = psutil.cpu_times()
        busy_s = sum(machine) - machine.idle - machine.iowait - machine.guest - machine.guest_nice
        ours = sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in (client.pid, os.getpid()))
        return cls(contender_s=contender_s, others_s=busy_s - contender_s - ours)

    def since(self, earlier: "_Cpu") -> "_Cpu":
        if self.contender_s is None or earlier.contender_s is None:
            return self
        assert self.others_s is not None and earlier.others_s is not None  # noqa: S101, PT018 - known together
        return _Cpu(
            contender_s=self.contender_s - earlier.contender_s, others_s=self.others_s - earlier.others_s
        )


def _cores() -> int:
    return len(os.sched_getaffinity(0))
