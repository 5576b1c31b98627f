"""Where the images of a text are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ValidationError
from service.prompt.images.parts import (
    MOST_IMAGES,
    InlineImage,
    RemoteImage,
    check_marks,
    has_image,
    image_of_url,
    split,
)


def test_all_three_forms_are_found_in_their_order() -> None:
    text = "a<image>QUJD</image>b<image>data:image/png;base64,QUJE</image>c![](data:image/jpeg;base64,QUJF)d"
    texts, sources = split(text, name="inputs")
    assert texts == ("a", "b", "c", "d")
    assert sources == tuple(InlineImage(base64=one) for one in ("QUJD", "QUJE", "QUJF"))
    assert has_image(text, remote=False)


def test_urls_are_sources_too() -> None:
    texts, sources = split(
        "![](https://a.example/x.png) and <image>http://b.example/y</image>", name="inputs"
    )
    assert texts == ("", " and ", "")
    assert sources == (RemoteImage(url="https://a.example/x.png"), RemoteImage(url="http://b.example/y"))
    assert image_of_url("https://a.example/x.png", name="messages") == sources[0]


@pytest.mark.parametrize(
    "text",
    ["no image", "![](./local.png)", "![alt](data:image/png;base64,QUJD)", "a < b > c", "<images>", "!["],
)
def test_other_text_stays_text(text: str) -> None:
    assert split(text, name="inputs") == ((text,), ())
    assert not has_image(text, remote=True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<image>QUJD", "without </image>"),
        ("<image>", "without </image>"),
        ("QUJD</image>", "without <image>"),
        ("<image><image>QUJD</image></image>", "another tag"),
        ("<image><url>x</url></image>", "another tag"),
        ("<image>QUJD</image></image>", "without <image>"),
        ("<image></image>", "empty image"),
        ("<image> \n </image>", "empty image"),
        ("<image>data:image/png,QUJD</image>", "base64"),
        ("![](data:image/png;base64,QUJD", "closing"),
        ("<image>QUJD</image>" * (MOST_IMAGES + 1), f"more than {MOST_IMAGES}"),
    ],
)
def test_what_is_no_image_but_looks_like_one_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as caught:
        split(text, name="inputs")
    assert caught.value.param == "inputs"


def test_a_feed_sent_to_a_text_model_holds_no_image() -> None:
    feed = "<rss><image><url>https://a.example/x.png</url></image><item>news</item></rss>"
    assert not has_image(feed, remote=False)
    assert has_image(f"{feed}<image>QUJD</image>", remote=False)


def test_urls_count_only_where_they_are_fetched() -> None:
    assert not has_image("![](https://a.example/x.png)", remote=False)
    assert has_image("![](https://a.example/x.png)", remote=True)


@given(st.lists(st.text(alphabet="ab\n![(", max_size=8), min_size=1, max_size=6))
def test_the_texts_around_images_come_back_unchanged(texts: list[str]) -> None:
    joined = "<image>QUJD</image>".join(texts)
    found, sources = split(joined, name="inputs")
    assert list(found) == texts
    assert len(sources) == len(texts) - 1


@given(st.text(alphabet="<image>/![](data:;bs64,) ", max_size=60))
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        texts, sources = split(text, name="inputs")
    except ValidationError:
        return
    assert len(texts) == len(sources) + 1
    assert not any("<image>" in one or "</image>" in one for one in texts)


@pytest.mark.parametrize(
    "mark", ["<image>", "</image>", "<ov_genai_image_0>", "<ov_genai_video_3>", "<|pad|>"]
)
def test_a_mark_in_a_text_is_refused(mark: str) -> None:
    check_marks(["fine", "<|other|>"], ["<|pad|>"], name="messages")
    with pytest.raises(ValidationError, match="stands for an image") as caught:
        check_marks(["fine", f"see {mark} there"], ["<|pad|>"], name="messages")
    assert caught.value.param == "messages"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a/b", "QUJD", "", "javascript:1"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="data:image"):
        image_of_url(url, name="messages")
