import pytest
from quality_fakes import some_measures

from export.quality.thresholds import SMALL_MODEL_PARAMETERS, THRESHOLDS, check_measures

BIG = 8_000_000_000


def failed(weights: str, parameters: int = BIG, **changes: float) -> list[str]:
    checks = check_measures(some_measures(**changes), weights, parameters)
    return [check.measure for check in checks if not check.passed]


def test_int8_may_lose_as_much_as_its_limits_say() -> None:
    assert failed("int8", kl_mean=0.02, perplexity_ratio=1.02, top1_agreement=0.97) == []


@pytest.mark.parametrize("weights", ["int8", "int8-sym"])
@pytest.mark.parametrize(
    ("measure", "value"),
    [
        ("kl_mean", 0.0201),
        ("perplexity_ratio", 1.0201),
        ("top1_agreement", 0.9699),
        ("confident_agreement", 0.98),
    ],
)
def test_each_measure_beyond_its_limit_fails_alone(weights: str, measure: str, value: float) -> None:
    assert failed(weights, **{measure: value}) == [measure]


def test_a_small_model_may_choose_another_first_token_more_often_for_a_measured_reason() -> None:
    measures = some_measures(top1_agreement=0.929)
    (check,) = [
        check
        for check in check_measures(measures, "int8", SMALL_MODEL_PARAMETERS - 1)
        if check.measure == "top1_agreement"
    ]
    assert check.passed
    assert "SmolLM2-135M" in check.reason
    assert failed("int8", SMALL_MODEL_PARAMETERS, top1_agreement=0.929) == ["top1_agreement"]


def test_int4_may_lose_more_and_16_bits_less() -> None:
    assert failed("int4", kl_mean=0.05) == []
    assert failed("int8", kl_mean=0.05) == ["kl_mean"]
    assert failed("fp16", kl_mean=0.01, perplexity_ratio=1.001) == ["kl_mean"]


def test_a_value_that_is_not_a_number_fails() -> None:
    assert failed("int8", kl_mean=float("nan")) == ["kl_mean"]


def test_every_limit_says_why() -> None:
    assert all(threshold.reason for thresholds in THRESHOLDS.values() for threshold in thresholds)
