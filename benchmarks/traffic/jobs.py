"""What the load process is told, and what it tells."""

from dataclasses import dataclass

from benchmarks.client import Target
from benchmarks.traffic.dialects import Dialect
from benchmarks.traffic.samples import Sample
from benchmarks.traffic.schedules import Schedule
from benchmarks.traffic.workloads import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficJob:
    """What to send, where to, and when; `warm_up` requests go first, and are not counted."""

    target: Target
    dialect: Dialect
    workload: Workload
    schedule: Schedule
    warm_up: int
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far it is."""

    elapsed_s: float
    sent: int
    done: int
    failed: int
    output_tokens: int
    is_warming_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficResult:
    """What became of the requests that ended; `unfinished` had not when the sending was stopped.

    `retried` were lost unread on a connection that had served others, and sent again.
    """

    samples: list[Sample]
    unfinished: int
    was_stopped: bool
    retried: int = 0
