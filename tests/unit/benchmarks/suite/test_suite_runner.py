"""The suite goes on after a step that fails, and packs what there is."""

import sys
import tarfile
from pathlib import Path

from benchmarks.suite.runner import Outcome, pack, run_suite
from benchmarks.suite.steps import Step


def step(name: str, program: str, *, limit_s: float = 60.0) -> Step:
    return Step(name=name, command=(sys.executable, "-c", program), limit_s=limit_s)


def test_a_step_that_fails_is_noted_and_the_next_one_runs(tmp_path: Path) -> None:
    lines: list[str] = []
    folder = tmp_path / "bench"

    done = run_suite(
        [
            step("good", "print('fine')"),
            step("bad", "raise SystemExit('no such device')"),
            Step(name="absent", command=("no-such-program-here",), limit_s=1.0),
            step("later", "pass"),
        ],
        folder,
        lines.append,
    )

    assert [one.outcome for one in done] == [Outcome.OK, Outcome.FAILED, Outcome.SKIPPED, Outcome.OK]
    assert "status 1; no such device (bad.log)" in done[1].note
    assert "fine" in (folder / "good.log").read_text()
    assert (folder / "summary.txt").read_text().splitlines() == lines


def test_a_step_that_takes_too_long_is_interrupted(tmp_path: Path) -> None:
    program = (
        "import time\ntry:\n    time.sleep(600)\nexcept KeyboardInterrupt:\n    print('servers stopped')"
    )

    done = run_suite([step("endless", program, limit_s=3.0)], tmp_path / "bench", lambda _: None)

    assert done[0].outcome is Outcome.TIMED_OUT
    assert "servers stopped" in (tmp_path / "bench" / "endless.log").read_text()


def test_the_archive_holds_the_folder_under_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "bench-host-2026"
    run_suite([step("good", "print('fine')")], folder, lambda _: None)

    archive = pack(folder)

    assert archive == tmp_path / "bench-host-2026.tar.gz"
    with tarfile.open(archive) as packed:
        assert sorted(packed.getnames()) == [
            "bench-host-2026",
            "bench-host-2026/good.log",
            "bench-host-2026/summary.txt",
        ]
    assert not list(tmp_path.glob(".*"))
