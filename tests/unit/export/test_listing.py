import json

import pytest

from export.listing import as_json, offers, parse_memory
from service.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("32GB", 32 * 10**9),
        ("24GiB", 24 * 2**30),
        ("800m", 800 * 10**6),
        ("1.5 gb", 1_500_000_000),
        ("512", 512),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, expected: int) -> None:
    assert parse_memory(text) == expected


@pytest.mark.parametrize("text", ["much", "-1GB", "3TB", ""])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="such as 32GB"):
        parse_memory(text)


def test_what_fits_is_what_is_known_to_take_no_more() -> None:
    everything = offers("CPU", None, None)
    fitting = offers("CPU", None, 8 * 10**9)
    assert 0 < len(fitting) < len(everything)
    assert all(offer.need is not None and offer.need.total <= 8 * 10**9 for offer in fitting)
    names = {offer.entry.name for offer in fitting}
    assert "llama-3.2-1b-instruct" in names
    assert "llama-3.1-8b-instruct" not in names
    assert "flan-t5-xxl" not in names


def test_int4_makes_more_models_fit() -> None:
    assert len(offers("GPU", "int4", 10**10)) > len(offers("GPU", "int8", 10**10))


def test_json_holds_null_where_something_is_not_known() -> None:
    records = {record["name"]: record for record in json.loads(as_json(offers("CPU", None, None)))}
    assert records["flan-ul2"]["memory_bytes"] is None
    assert records["phi-3-mini-128k"]["revision"] is None
    llama = records["llama-3.1-8b-instruct"]
    assert (llama["hub_id"], llama["draft_model"]) == (
        "meta-llama/Llama-3.1-8B-Instruct",
        "meta-llama/Llama-3.2-1B-Instruct",
    )
    assert llama["memory_bytes"] > llama["weight_bytes"] > 0
