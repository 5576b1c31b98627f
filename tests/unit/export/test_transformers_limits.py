import importlib.util

import pytest

from export.errors import ConversionError
from export.transformers_limits import as_tried, check_transformers, newest_transformers

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("optimum") is None,
    reason="optimum-intel is not installed: pip install '.[export]'",
)


def test_a_type_that_needs_an_older_transformers_is_refused_with_the_way_out() -> None:
    advice = r"deepseek_v3 with transformers 4\.53\.3 at most.*transformers==4\.53\.3, then convert DIR here"
    with pytest.raises(ConversionError, match=advice):
        check_transformers("deepseek_v3", "m")


@pytest.mark.parametrize("kind", ["llama", "gemma2", "gemma3_text", "no-such-type"])
def test_other_types_are_not_refused(kind: str) -> None:
    check_transformers(kind, "m")


def test_the_limit_is_lifted_for_the_tried_types_alone_and_put_back() -> None:
    from optimum.exporters.openvino import model_configs

    def limits() -> list[str]:
        return [
            found.MAX_TRANSFORMERS_VERSION
            for found in (model_configs.GemmaOpenVINOConfig, model_configs.Gemma2OpenVINOConfig)
        ]

    before = limits()
    with as_tried("gemma2"):
        assert limits() == [before[0], newest_transformers("gemma2")]
    assert limits() == before
    assert newest_transformers("gemma2") not in before
