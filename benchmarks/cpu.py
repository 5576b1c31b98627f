"""Tells which process took how much CPU, and what others on the machine took meanwhile."""

from dataclasses import asdict, dataclass

import psutil

# Background work of a quiet machine stays well below this part of a measurement's own CPU time.
_MOST_OTHERS_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTime:
    """CPU seconds of each process; `others_s` is what all others took, the hypervisor included."""

    api_s: float
    engine_s: float
    raw_s: float
    client_s: float
    probe_s: float
    others_s: float

    @property
    def is_disturbed(self) -> bool:
        """Whether others took so much that a throughput measured meanwhile says little."""
        ours_s = self.api_s + self.engine_s + self.raw_s + self.client_s + self.probe_s
        return self.others_s > _MOST_OTHERS_SHARE * ours_s

    def since(self, earlier: "CpuTime") -> "CpuTime":
        """What was taken between two readings."""
        before = asdict(earlier)
        return CpuTime(**{name: value - before[name] for name, value in asdict(self).items()})


class CpuMeter:
    """Reads the kernel's counts, which go in hundredths of a second."""

    def __init__(
        self, *, api_pid: int, engine_pid: int, raw_pid: int, client_pid: int, probe_pid: int
    ) -> None:
        pids = (api_pid, engine_pid, raw_pid, client_pid, probe_pid)
        self._processes = [psutil.Process(pid) for pid in pids]
        self._this = psutil.Process()

    def read(self) -> CpuTime:
        """What was taken until now. Raises: psutil.NoSuchProcess when one of them is gone."""
        machine = psutil.cpu_times()
        api_s, engine_s, raw_s, client_s, probe_s = parts = [_used_s(one) for one in self._processes]
        everyone_s = sum(machine) - machine.idle - machine.iowait - machine.guest - machine.guest_nice
        return CpuTime(
            api_s=api_s,
            engine_s=engine_s,
            raw_s=raw_s,
            client_s=client_s,
            probe_s=probe_s,
            others_s=everyone_s - sum(parts) - _used_s(self._this),
        )


def _used_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
