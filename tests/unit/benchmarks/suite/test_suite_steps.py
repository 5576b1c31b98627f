"""The suite's steps: what they are called, where they write, and that each command line is understood."""

import warnings
from pathlib import Path

import pytest
from click import Command, Context, Group

from benchmarks.suite.steps import Step, steps

with warnings.catch_warnings():
    # typer asks for names that click 8.5 calls deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from typer.main import get_command

    from benchmarks.__main__ import app

FOLDER = Path("/results/bench-host-2026-01-01")


def planned(model: Path, *, is_quick: bool = False, with_peers: bool = False) -> list[Step]:
    return steps(model, FOLDER, is_quick=is_quick, with_peers=with_peers)


def benchmark_arguments(step: Step) -> list[str] | None:
    """What follows `python -m benchmarks`; None for other programs."""
    return list(step.command[3:]) if step.command[1:3] == ("-m", "benchmarks") else None


@pytest.mark.parametrize("is_quick", [True, False])
def test_every_benchmark_understands_its_arguments(tmp_path: Path, is_quick: bool) -> None:
    group = get_command(app)
    assert isinstance(group, Group)
    understood = 0
    for step in planned(tmp_path, is_quick=is_quick, with_peers=True):
        arguments = benchmark_arguments(step)
        if arguments is not None:
            command: Command | None = group.get_command(Context(group), arguments[0])
            assert command is not None, step.name
            command.make_context(step.name, arguments[1:])
            understood += 1
    assert understood > 14


def test_names_are_unique_and_nothing_is_written_outside_the_folder(tmp_path: Path) -> None:
    found = planned(tmp_path, with_peers=True)

    assert len({step.name for step in found}) == len(found)
    for step in found:
        for option in ("--output", "--output-dir"):
            if option in step.command:
                assert Path(step.command[step.command.index(option) + 1]).is_relative_to(FOLDER)


def test_tuning_comes_last_and_stays_out_of_the_models_folder(tmp_path: Path) -> None:
    last = planned(tmp_path, with_peers=True)[-1]

    assert last.name == "tune"
    assert last.command[-2:] == ("--output", str(FOLDER / "tuning.json"))


def test_peers_are_only_there_when_asked_for(tmp_path: Path) -> None:
    with_peers, without = (
        {step.name for step in planned(tmp_path, with_peers=wanted)} for wanted in (True, False)
    )

    assert with_peers - without == {"peers-install", "compare"}
