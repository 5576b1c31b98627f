"""Finding the images in a prompt takes time in proportion to its length, whatever is in it."""

import pytest

from service.errors import ValidationError
from service.prompt.images.parts import check_marks, has_image, split
from tests.support.growth import cpu_s, of_length

LONG = 16 * 2**20
SHORT = LONG // 8
# Work that grows with the length's square would grow 64 times.
MOST_GROWTH = 8 * 3

SHAPES = {
    "openings": "<image>",
    "closings": "</image>",
    "angle brackets": "<",
    "half openings": "<imag",
    "empty images": "<image></image>",
    "small images": "<image>QUJD</image>",
    "links": "![](",
    "data": "![](data:",
    "closed data": "![](data:,)",
    "addresses": "![](https://",
    "an opening of each kind": "<image>![](data:![](http://",
    "engine's marks": "<ov_genai_image_",
    "letters": "A",
    "blanks": " ",
}


def read(text: str) -> None:
    for whole in (text, f"<image>{text}", f"{text}</image>", f"![](data:image/png;base64,{text}"):
        has_image(whole, remote=True)
        try:
            texts, _ = split(whole, name="inputs")
            check_marks(texts, ["<|image_pad|>"], name="inputs")
        except ValidationError:
            pass


@pytest.mark.parametrize("unit", SHAPES.values(), ids=SHAPES.keys())
def test_time_grows_with_the_length(unit: str) -> None:
    short_s, long_s = (cpu_s(read, of_length(unit, length)) for length in (SHORT, LONG))
    assert long_s <= MOST_GROWTH * max(short_s, 0.001), (short_s, long_s)
