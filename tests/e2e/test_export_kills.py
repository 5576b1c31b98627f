"""kill -9 at random moments; `KILL_ROUNDS=20` makes it a longer run."""

import os
from pathlib import Path

from tests.support.kill_conversions import ROOT, default_gguf, kill_rounds


def test_a_killed_conversion_leaves_nothing_half_and_the_next_run_cleans_up(tmp_path: Path) -> None:
    rounds = int(os.environ.get("KILL_ROUNDS", "3"))
    kills = kill_rounds(rounds, 0, default_gguf(ROOT / ".cache" / "gguf"), tmp_path)
    assert len(kills) == rounds
    print(*kills, sep="\n")
