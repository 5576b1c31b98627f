"""Shows a roofline as tables."""

from rich.console import Console
from rich.table import Table

from benchmarks.roofline.profile import Profile
from benchmarks.roofline.results import Reached, RooflineResults
from benchmarks.tables import new_table

_MS = 1000
_GIGA = 1e9
_MEGA = 1e6
_MOST_KINDS_SHOWN = 8


def show_roofline(results: RooflineResults, console: Console) -> None:
    """Print the machine, then what is reached of it."""
    console.print(_machine_table(results))
    console.print(_reached_table(results))
    console.print(results.next_limit, soft_wrap=True, highlight=False)
    if results.profile is not None:
        console.print(_profile_table(results.profile))


def _machine_table(results: RooflineResults) -> Table:
    machine = results.machine
    table = new_table("This machine, all usable cores", "", "GB/s", "GFLOP/s")
    table.add_row("memory, read", _range([one.read_bytes_per_s for one in results.memory]), "")
    table.add_row("8 MiB in the caches, read", f"{machine.cached_bytes_per_s / _GIGA:.1f}", "")
    for name, flops_per_s in (
        ("f32 matrices", machine.f32_flops_per_s),
        ("bf16 matrices", machine.bf16_flops_per_s),
        ("INT8 matrices", machine.int8_flops_per_s),
        ("INT8 weights as the engine is configured, many tokens", machine.engine_flops_per_s),
    ):
        table.add_row(name, "", f"{flops_per_s / _GIGA:.0f}")
    table.add_row("the same, one token", _range([one.weight_bytes_per_s for one in results.memory]), "")
    return table


def _reached_table(results: RooflineResults) -> Table:
    columns = ("work", "limit", "OpenVINO's kernel", "measured", "reached", "lowest - highest")
    table = new_table("One request alone: the middle round", "", *columns)
    decode = results.decode
    table.add_row(f"a token behind {decode.tokens}", f"{decode.work / _MEGA:.1f} MB", *_cells(decode))
    for one in results.prefill:
        table.add_row(
            f"first token of a prompt of {one.tokens}", f"{one.work / _GIGA:.1f} GFLOP", *_cells(one)
        )
    return table


def _cells(one: Reached) -> list[str]:
    middle = one.middle
    times = [f"{time_s * _MS:.2f} ms" for time_s in (middle.limit_s, middle.kernel_s, middle.measured_s)]
    return [*times, f"{middle.reached:.0%}", f"{one.reached.lowest:.0%} - {one.reached.highest:.0%}"]


def _range(bytes_per_s: list[float]) -> str:
    return f"{min(bytes_per_s) / _GIGA:.1f} - {max(bytes_per_s) / _GIGA:.1f}"


def _profile_table(profile: Profile) -> Table:
    table = new_table("A decode step by OpenVINO's own clocks", "operation", "count", "ms", "share")
    for share in profile.shares[:_MOST_KINDS_SHOWN]:
        table.add_row(share.kind, str(share.count), *_part(share.time_s, profile))
    others_s = sum(share.time_s for share in profile.shares[_MOST_KINDS_SHOWN:])
    table.add_row("other kinds", "", *_part(others_s, profile))
    table.add_row("between operations", "", *_part(profile.between_s, profile))
    return table


def _part(time_s: float, profile: Profile) -> tuple[str, str]:
    return f"{time_s * _MS:.2f}", f"{time_s / profile.step_s:.0%}"
