"""A contender in a comparison: started, held still between its turns, left out when it fails."""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import psutil

from benchmarks.compare.results import Side
from benchmarks.credentials import Credentials
from benchmarks.errors import BenchmarkError
from benchmarks.peers.contender import Contender
from benchmarks.peers.models import weights_of
from benchmarks.peers.process import family, resume, suspend
from benchmarks.peers.serving import Serving, deciding_versions, is_sized, running
from benchmarks.peers.weights import weights_sha256
from service.errors import TiberError

# After it goes on, so that timers that came due meanwhile are done with.
_RESUMED_S = 0.2


@dataclass(slots=True)
class Entrant:
    """`serving` is None before the start and after a failure."""

    contender: Contender
    is_ours: bool
    serving: Serving | None = None
    failure: str | None = None
    idle_share: float | None = None
    is_suspended: bool = False
    settings: str = ""
    launch_line: str = ""
    engine_settings: str | None = None

    @property
    def is_sized(self) -> bool:
        """Whether it is started anew for each concurrency."""
        return is_sized(self.contender)

    def enter(
        self,
        stack: ExitStack,
        concurrency: int,
        *,
        credentials: Credentials,
        uses_tuning: bool,
        say: Callable[[str], None],
    ) -> None:
        """Start it until the stack ends; a failure is kept, not raised."""
        if self.failure is not None:
            return
        say(f"starting {self.contender.label}")
        with self.failing_softly():
            serving = stack.enter_context(
                running(
                    self.contender,
                    concurrency=concurrency,
                    credentials=credentials,
                    uses_tuning=uses_tuning,
                )
            )
            if serving.pid is not None:
                # It must run again before it can be told to end.
                stack.callback(resume, serving.pid)
            self.serving = serving
            self.is_suspended = False
            self.settings, self.launch_line = serving.settings, serving.launch_line
            self.engine_settings = serving.engine_settings

    @contextlib.contextmanager
    def failing_softly(self, where: str = "") -> Iterator[None]:
        """Keep what goes wrong in the block as this contender's failure, and leave it out from here on."""
        try:
            yield
        except TiberError as error:
            self.failure = f"{where}{error.message}"
            self.hold()
            self.serving = None

    @contextlib.contextmanager
    def turn(self) -> Iterator[Serving]:
        """Its turn to be measured. Raises: BenchmarkError when it is not running."""
        if self.serving is None:
            raise BenchmarkError("it is not running")
        serving = self.serving
        if self.is_suspended and serving.pid is not None:
            resume(serving.pid)
            time.sleep(_RESUMED_S)
        try:
            yield serving
        finally:
            self.hold()

    def hold(self) -> None:
        """Hold it still until its turn, where we started it.

        Always, not only when it takes CPU while it waits: vLLM's workers spin for a second after their last
        request (`busy_loop_s` in its shm_broadcast.py), which whoever comes next would pay for.
        """
        if self.serving is not None and self.serving.pid is not None:
            suspend(self.serving.pid)
            self.is_suspended = True

    def note_idle(self, share: float) -> None:
        """Take note of the CPU it takes while waiting, in cores."""
        self.idle_share = max(share, self.idle_share or 0.0)

    def cpu_s(self) -> float | None:
        """CPU seconds that all its processes have taken; None where they are not ours to see."""
        if self.serving is None or self.serving.pid is None:
            return None
        used_s = 0.0
        for process in family(self.serving.pid):
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                used_s += times.user + times.system
        return used_s

    def side(self) -> Side:
        """What the record says of it."""
        is_seen = self.idle_share is not None
        return Side(
            label=self.contender.label,
            kind=self.contender.kind,
            weights=weights_of(self.contender),
            model=self.contender.model.rstrip("/").rpartition("/")[2],
            versions=deciding_versions(self.contender.kind),
            settings=self.settings,
            launch_line=self.launch_line,
            is_ours=self.is_ours,
            idle_share=self.idle_share,
            is_suspended=self.is_suspended if is_seen else None,
            failure=self.failure,
            weights_sha256=weights_sha256(self.contender),
            engine_settings=self.engine_settings,
        )


def entrants(contenders: list[Contender]) -> list[Entrant]:
    """Enter all; where none is a tiber-serve that we start, the first one stands for ours."""
    has_ours = any(contender.is_ours for contender in contenders)
    return [
        Entrant(contender=contender, is_ours=contender.is_ours if has_ours else number == 0)
        for number, contender in enumerate(contenders)
    ]
