"""Which combinations the benchmark of growing cost measures."""

from benchmarks.scaling import Cell, ScalingSettings, cells


def settings(*, is_full: bool) -> ScalingSettings:
    return ScalingSettings(
        concurrencies=(4, 1),
        prompt_tokens=(32, 1024, 256),
        output_tokens=(16, 64, 256),
        is_full=is_full,
        waves=2,
        rounds=3,
        cache_gib=1,
        timeout_s=60.0,
        seed=1,
    )


def test_each_length_is_varied_beside_the_middle_of_the_other() -> None:
    found = cells(settings(is_full=False))

    assert [one.concurrency for one in found] == [1] * 5 + [4] * 5
    assert {(one.prompt_tokens, one.output_tokens) for one in found} == {
        (32, 64),
        (256, 16),
        (256, 64),
        (256, 256),
        (1024, 64),
    }
    assert settings(is_full=False).turns == 30


def test_the_full_grid_has_every_combination_once() -> None:
    found = cells(settings(is_full=True))

    assert len(found) == len(set(found)) == 2 * 3 * 3
    assert Cell(concurrency=4, prompt_tokens=1024, output_tokens=256) in found
