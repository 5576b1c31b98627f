"""What the suite runs, as data; pure."""

import sys
from dataclasses import dataclass
from pathlib import Path

_CONCURRENCIES = (1, 4, 16, 64, 100)
_PYTHON = sys.executable
# Seconds after which a step is ended; the longest, `reproducible`, took ten minutes on two cores.
_LIMIT_S, _QUICK_LIMIT_S = 3600.0, 600.0
# 2 GB to download; five concurrencies of four servers.
_PEERS_LIMIT_S = 7200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command, and the seconds that it may take."""

    name: str
    command: tuple[str, ...]
    limit_s: float


# What --quick makes smaller; the other commands' defaults are what docs/performance.md has.
_QUICK: dict[str, tuple[str, ...]] = {
    "overhead": ("--rounds", "1", "--tokens", "32"),
    "roofline": ("--rounds", "1", "--prefill-tokens", "512"),
    "run": ("--duration", "5s"),
    "sweep": ("--duration", "5s"),
    "scaling": (
        *("--waves", "1", "--concurrency", "1", "--concurrency", "16"),
        *("--prompt-tokens", "32", "--prompt-tokens", "256", "--output-tokens", "32"),
    ),
    "startup": ("--rounds", "1"),
    # Fewer would leave it to chance whether the prefix cache is tried.
    "reproducible": ("--requests", "24", "--load", "4"),
    "reproducible-cost": ("--rounds", "1", "--tokens", "32"),
    "speculative": ("--rounds", "1", "--tokens", "32", "--concurrency", "1", "--concurrency", "16"),
    "chunks": (
        *("--rounds", "1", "--arrivals", "2", "--interval-s", "1"),
        *("--max-batched-tokens", "256", "--max-batched-tokens", "1024"),
    ),
    "compare": ("--rounds", "1", "--tokens", "16", "--concurrency", "1", "--concurrency", "16"),
    "tune": ("--budget", "60s"),
}
_FULL: dict[str, tuple[str, ...]] = {
    "roofline": ("--profile",),
    "run": ("--duration", "60s"),
    "sweep": ("--duration", "30s"),
    "scaling": ("--rounds", "3"),
    "compare": ("--rounds", "6"),
    "tune": ("--budget", "10m"),
}


def steps(model: Path, folder: Path, *, is_quick: bool, with_peers: bool) -> list[Step]:
    """All steps for a model; they write into `folder`. What changes the machine for others comes last."""
    sizes = _QUICK if is_quick else _FULL
    limit_s = _QUICK_LIMIT_S if is_quick else _LIMIT_S

    def step(name: str, *command: str) -> Step:
        return Step(name=name, command=command, limit_s=limit_s)

    def bench(name: str, *options: str) -> Step:
        command = (_PYTHON, "-m", "benchmarks", *(options or (name, *sizes.get(name, ()))))
        return step(name, *command, "--model", str(model), "--output", str(folder / f"{name}.json"))

    def load(name: str, arrival: str, size: str) -> Step:
        return bench(name, "run", "--arrival", arrival, *sizes[size])

    return [
        step("lscpu", "lscpu"),
        step("numactl", "numactl", "--hardware"),
        step("doctor", _PYTHON, "-m", "service.cli", "doctor"),
        bench("overhead"),
        bench("roofline"),
        *(load(f"run-closed-{many}", f"closed:{many}", "run") for many in _CONCURRENCIES),
        load("run-sweep", "sweep", "sweep"),
        bench("scaling"),
        bench("startup"),
        bench("reproducible"),
        bench("reproducible-cost"),
        bench("speculative"),
        bench("chunks"),
        *(_peers(folder, sizes["compare"]) if with_peers else ()),
        # Kept beside the records alone: beside the model, every later run would use it.
        step(
            "tune",
            *(_PYTHON, "-m", "service.cli", "tune", str(model), *sizes["tune"]),
            *("--output", str(folder / "tuning.json")),
        ),
    ]


def _peers(folder: Path, sizes: tuple[str, ...]) -> list[Step]:
    """They measure the default model, which is there in every server's own format."""
    benchmarks = (_PYTHON, "-m", "benchmarks")
    return [
        Step(name="peers-install", command=(*benchmarks, "peers", "install"), limit_s=_PEERS_LIMIT_S),
        Step(
            name="compare",
            command=(*benchmarks, "compare", *sizes, "--output-dir", str(folder / "compare")),
            limit_s=_PEERS_LIMIT_S,
        ),
    ]
