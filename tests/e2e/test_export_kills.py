"""kill -9 at random moments of a conversion; `KILL_ROUNDS=20` in the environment makes it a longer run."""

import os
from pathlib import Path

from tests.support.kill_conversions import ROOT, default_gguf, kill_rounds

USUAL_S = 12.0  # on two cores


def test_a_killed_conversion_leaves_nothing_half_and_the_next_run_cleans_up(
    tmp_path: Path, default_model: Path
) -> None:
    rounds = int(os.environ.get("KILL_ROUNDS", "3"))
    gguf = default_gguf(ROOT / ".cache" / "gguf")
    kills = kill_rounds(rounds, 1, gguf, tmp_path, default_model, USUAL_S)
    assert len(kills) == rounds
