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

    kinds = ("Gemma2OpenVINOConfig", "Gemma3TextOpenVINOConfig", "GemmaOpenVINOConfig")
    classes = [getattr(model_configs, name) for name in kinds]
    before = [found.MAX_TRANSFORMERS_VERSION for found in classes]
    with as_tried("gemma2"):
        assert classes[0].MAX_TRANSFORMERS_VERSION == newest_transformers("gemma2") != before[0]
        assert [found.MAX_TRANSFORMERS_VERSION for found in classes[1:]] == before[1:]
    assert [found.MAX_TRANSFORMERS_VERSION for found in classes] == before
