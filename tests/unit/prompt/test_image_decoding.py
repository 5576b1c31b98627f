"""Pictures from bytes: every mode becomes RGB, everything broken is refused."""

import pytest
from PIL import Image as Pillow

from service.errors import ValidationError
from service.manifest import ImageLimits
from service.prompt.images.decoding import decode, decode_base64
from service.prompt.images.policy import ImagePolicy
from tests.support.bad_images import bad_images, encoded, good_images, mutated, plain

LIMITS = ImageLimits(max_images=2, max_width=1024, max_height=1024, tokens_per_image=16, marks=[])
BAD = bad_images()
GOOD = good_images()
# Noise of lossy formats.
_TOLERANCE = 6


def _decode(data: bytes, policy: ImagePolicy | None = None):  # noqa: ANN202
    return decode(data, LIMITS, policy or ImagePolicy(), name="inputs", which="the image")


def test_there_are_enough_bad_images() -> None:
    assert len(BAD) >= 60


@pytest.mark.parametrize("name", BAD)
def test_a_bad_image_is_refused_in_words_without_internals(name: str) -> None:
    with pytest.raises(ValidationError, match=r"^the image ") as caught:
        _decode(BAD[name])
    assert caught.value.param == "inputs"
    assert "Pillow" not in caught.value.message
    assert "object at" not in caught.value.message


@pytest.mark.parametrize("name", GOOD)
def test_a_good_image_becomes_rgb(name: str) -> None:
    data, color = GOOD[name]
    image = _decode(data)
    assert (image.width, image.height) == (40, 30)
    assert len(image.pixels) == 40 * 30 * 3
    for found, expected in zip(image.pixels[:3], color, strict=True):
        assert abs(found - expected) <= _TOLERANCE


def test_the_camera_s_orientation_is_applied() -> None:
    picture = plain((40, 30))
    picture.paste((0, 0, 255), (0, 0, 40, 15))
    exif = Pillow.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, clockwise
    image = _decode(encoded(picture, "JPEG", exif=exif, quality=95))
    assert (image.width, image.height) == (30, 40)
    right = image.pixels[87:90]
    assert right[2] > 200
    assert right[0] < 60


def test_what_is_too_large_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValidationError, match=r"1025x2 pixels.*1024x1024.*smaller.*images.resize"):
        _decode(BAD["png too wide"])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_with_fit_what_is_too_large_is_made_smaller_in_its_own_shape(kind: str) -> None:
    image = _decode(encoded(plain((2100, 700)), kind), ImagePolicy(resize="fit"))
    assert image.width == 1024
    assert image.height in (341, 342)
    small = _decode(encoded(plain((20, 10)), kind), ImagePolicy(resize="fit"))
    assert (small.width, small.height) == (20, 10)


def test_even_with_fit_no_bomb_is_decoded() -> None:
    with pytest.raises(ValidationError, match="32000x32000 pixels, and at most 40000000"):
        _decode(BAD["png of a thousand million pixels"], ImagePolicy(resize="fit"))


def test_large_files_are_refused_by_their_size() -> None:
    with pytest.raises(ValidationError, match="at most 100 are taken"):
        _decode(encoded(plain((200, 200)), "PNG") + bytes(200), ImagePolicy(max_bytes=100))


def test_animations_are_refused_by_name() -> None:
    for name in ("animated png", "animated webp", "multi-picture jpeg"):
        with pytest.raises(ValidationError, match="several frames"):
            _decode(BAD[name])


def test_mutated_files_are_decoded_or_refused() -> None:
    refused = 0
    for data in mutated(7, 2000):
        try:
            image = _decode(data)
        except ValidationError:
            refused += 1
        else:
            assert len(image.pixels) == image.width * image.height * 3
    assert 200 < refused < 2000


@pytest.mark.parametrize("text", ["QUJD", " QUJD\n", "QU\r\nJD", "QUI="])
def test_base64_may_have_line_breaks(text: str) -> None:
    assert decode_base64(text).startswith(b"AB")


@pytest.mark.parametrize("text", ["QUJ", "QU JD", "QUJD=", "QU=I", "Q*JD", "QUJ\u00e4", "=", "-_AA"])
def test_other_base64_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - binascii's own, or of a character that is no ASCII
        decode_base64(text)


@pytest.mark.parametrize("size", [(101, 10), (10, 101)])
def test_a_longer_image_than_the_model_sees_is_refused_with_the_ratio(size: tuple[int, int]) -> None:
    limits = LIMITS.model_copy(update={"max_aspect_ratio": 10.0})
    for policy in (ImagePolicy(), ImagePolicy(resize="fit")):
        with pytest.raises(ValidationError, match="over 10 times as long"):
            decode(encoded(Pillow.new("RGB", size), "PNG"), limits, policy, name="inputs", which="the image")
    longest = decode(
        encoded(Pillow.new("RGB", (100, 10)), "PNG"), limits, policy, name="inputs", which="the image"
    )
    assert (longest.width, longest.height) == (100, 10)
