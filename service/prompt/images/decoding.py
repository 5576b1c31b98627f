"""Decodes one picture that a client sent."""

import binascii
import re
from io import BytesIO

import structlog
from PIL import Image as Pillow
from PIL import ImageOps

from service.domain import Image
from service.errors import ValidationError
from service.manifest import ImageLimits
from service.prompt.images.policy import ImagePolicy

_log = structlog.get_logger("images")

# Pillow's own limit only warns at first; sizes are checked here, before anything is decoded.
Pillow.MAX_IMAGE_PIXELS = None

_FORMATS = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG"}
_LINE_BREAKS = re.compile(rb"[\r\n]+")
# A progressive JPEG has about ten scans; thousands of them make a small file take minutes.
_MOST_SCANS = 100
_SCAN = b"\xff\xda"
_WHITE = (255, 255, 255)
_WIDE_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")


class _RefusedError(Exception):
    """Why a picture is refused, in words for the client."""


def decode_base64(text: str) -> bytes:
    """The bytes of strict base64; line breaks, as in e-mail, are the only thing left out of account.

    Raises:
        ValueError: it is none.
    """
    data = text.encode("ascii").strip()
    if b"\n" in data or b"\r" in data:
        data = _LINE_BREAKS.sub(b"", data)
    if len(data) % 4:
        raise ValueError("base64 comes in groups of four characters")
    return binascii.a2b_base64(data, strict_mode=True)


def decode(data: bytes, limits: ImageLimits, policy: ImagePolicy, *, name: str, which: str) -> Image:
    """The picture as 8-bit RGB, the right way up; of an animation there is none.

    Blocks for up to some hundred ms: call it in a thread.

    Raises:
        ValidationError: it is no JPEG, PNG or WebP, or broken, or too large; it begins with `which`.
    """
    try:
        return _decoded(data, limits, policy)
    except _RefusedError as error:
        raise ValidationError(f"{which} {error}", param=name) from error
    except Exception as error:  # a border: what Pillow raises for a broken file has no common type
        _log.info("image_refused", reason=type(error).__name__)
        reason = "can't be read: the file is broken or incomplete"
        raise ValidationError(f"{which} {reason}", param=name) from error


def _decoded(data: bytes, limits: ImageLimits, policy: ImagePolicy) -> Image:
    kind = _kind(data)
    if len(data) > policy.max_bytes:
        raise _RefusedError(f"has {len(data)} bytes, and at most {policy.max_bytes} are taken")
    if kind == "JPEG" and data.count(_SCAN) > _MOST_SCANS:
        raise _RefusedError(f"has over {_MOST_SCANS} scans: save it anew as a common JPEG")
    with Pillow.open(BytesIO(data), formats=[kind]) as picture:
        if getattr(picture, "n_frames", 1) > 1:
            raise _RefusedError("has several frames, as animations have: send one of them")
        _check_size(picture.size, limits, policy)
        if policy.resize == "fit":
            picture.draft("RGB", (limits.max_width, limits.max_height))
        upright = _upright(_rgb(picture))
        if policy.resize == "fit":
            upright.thumbnail((limits.max_width, limits.max_height), Pillow.Resampling.LANCZOS)
        return Image(width=upright.width, height=upright.height, pixels=upright.tobytes())


def _kind(data: bytes) -> str:
    """What the bytes say; a label would be a claim."""
    for magic, kind in _FORMATS.items():
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    raise _RefusedError("is no JPEG, PNG or WebP file")


def _check_size(size: tuple[int, int], limits: ImageLimits, policy: ImagePolicy) -> None:
    width, height = size
    longest = limits.max_aspect_ratio
    if longest is not None and max(size) > longest * min(size):
        raise _RefusedError(
            f"is {width}x{height} pixels, and this model sees none with a side over "
            f"{longest:g} times as long as the other: cut it into several"
        )
    if policy.resize == "fit":
        if width * height > policy.max_source_pixels:
            raise _RefusedError(
                f"is {width}x{height} pixels, and at most {policy.max_source_pixels} pixels are taken"
            )
        return
    if width > limits.max_width or height > limits.max_height:
        raise _RefusedError(
            f"is {width}x{height} pixels, and at most {limits.max_width}x{limits.max_height} are taken: make "
            'it smaller before sending it, or ask the operator for images.resize = "fit"'
        )


def _rgb(picture: Pillow.Image) -> Pillow.Image:
    if picture.mode in _WIDE_MODES:
        # convert() would clip what needs 16 bits to white.
        picture = picture.convert("I").point(lambda value: value / 256).convert("L")
    if picture.has_transparency_data:
        layered = picture.convert("RGBA")
        base = Pillow.new("RGB", layered.size, _WHITE)
        base.paste(layered, mask=layered.getchannel("A"))
        base.info["exif"] = picture.info.get("exif", b"")
        return base
    return picture.convert("RGB")


def _upright(picture: Pillow.Image) -> Pillow.Image:
    """Turned as its camera says; what can't be read says nothing."""
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # noqa: BLE001 - Pillow's EXIF reader raises what it likes; the pixels are fine
        return picture
