"""What is worth trying on a machine, in stages: each stage varies what the one before found best."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.cpu import Cpu
from service.tuning.allowed import GROUPS, HINT, HYPER_THREADS, KV, PINNING, THREADS
from service.tuning.candidate import EXACT, Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One kind of choice; `vary` gives the candidates beside the best one so far, the likeliest first.

    share: the part of the budget that it may take.
    """

    name: str
    share: float
    vary: Callable[[Candidate], Sequence[Candidate]]


def cpu_stages(cpu: Cpu, *, exact_only: bool) -> tuple[Stage, ...]:
    """The stages on a CPU; with `exact_only` nothing that changes what is computed.

    Streams are no choice: continuous batching runs all requests in one, whatever NUM_STREAMS says. The KV
    cache's size is none either: it must hold the requests, and beyond that changes no speed.
    """
    threads = Stage(name="threads", share=0.12, vary=lambda best: _thread_choices(best, cpu))
    batches = Stage(name="batching", share=0.15, vary=_batch_choices)
    if exact_only:
        return threads, batches
    numbers = Stage(name="numbers", share=0.5, vary=lambda best: _number_choices(best, cpu))
    return numbers, threads, batches


def other_device_stages() -> tuple[Stage, ...]:
    """The stages on a device whose properties nobody here has measured: only its KV cache and the batches."""
    return (
        Stage(name="numbers", share=0.4, vary=_cache_choices),
        Stage(name="batching", share=0.4, vary=_batch_choices),
    )


def _number_choices(best: Candidate, cpu: Cpu) -> list[Candidate]:
    has_bf16 = bool({"amx_bf16", "avx512_bf16"} & set(cpu.flags))
    # With float32 the CPU's paged attention takes a KV cache in f16 and refuses one in bf16.
    found = [
        _numbers(best, "f32 groups 64 kv f16", {HINT: "f32", GROUPS: "64", KV: "f16"}),
        _numbers(best, "f32 groups 32", {HINT: "f32", GROUPS: "32"}),
        _numbers(best, "f32 groups 128", {HINT: "f32", GROUPS: "128"}),
        *(_bf16_choices(best) if has_bf16 else []),
        _numbers(best, "f32 no groups", {HINT: "f32", GROUPS: "0"}),
        _numbers(best, "f32 groups 64 kv u4", {HINT: "f32", GROUPS: "64", KV: "u4"}),
        _numbers(best, "exact", dict(EXACT)),
    ]
    return [one for one in found if dict(one.properties) != dict(best.properties)]


def _bf16_choices(best: Candidate) -> list[Candidate]:
    found = [
        ("bf16 no groups kv bf16", {GROUPS: "0", KV: "bf16"}),
        ("bf16 no groups", {GROUPS: "0"}),
        ("bf16 groups 64", {GROUPS: "64"}),
        ("bf16 groups 64 kv bf16", {GROUPS: "64", KV: "bf16"}),
        ("bf16 groups 128", {GROUPS: "128"}),
    ]
    return [_numbers(best, name, {HINT: "bf16", **properties}) for name, properties in found]


def _numbers(best: Candidate, name: str, properties: dict[str, str]) -> Candidate:
    return Candidate(
        name=name,
        properties=properties,
        max_batched_tokens=best.max_batched_tokens,
        max_running=best.max_running,
    )


def _cache_choices(best: Candidate) -> list[Candidate]:
    return [best.changed(f"kv {kind}", {KV: kind}) for kind in ("u8", "f16")]


def _thread_choices(best: Candidate, cpu: Cpu) -> list[Candidate]:
    found = [best.changed("not pinned", {PINNING: "NO"})]
    if cpu.logical_cores > cpu.physical_cores:
        found.append(
            best.changed(
                "hyper-threads",
                {HYPER_THREADS: "YES", THREADS: str(cpu.logical_cores)},
            )
        )
    if cpu.physical_cores > 1:
        # The service's own process and the kernel take turns with the engine on its last core.
        fewer = str(cpu.physical_cores - 1)
        found.append(best.changed(f"threads {fewer}", {THREADS: fewer}))
    if cpu.numa_nodes > 1:
        one_node = str(max(1, cpu.physical_cores // cpu.numa_nodes))
        found.append(best.changed(f"threads {one_node} (one node)", {THREADS: one_node}))
    return found


def _batch_choices(best: Candidate) -> list[Candidate]:
    sizes = [size for size in (512, 128, 1024) if size != best.max_batched_tokens]
    return [
        *(best.changed(f"{size} batched tokens", max_batched_tokens=size) for size in sizes),
        best.changed("32 running", max_running=32),
    ]
