"""Pictures made on the spot: good ones of every kind, broken ones, and mutations."""

import base64
import io
import random
import struct
import zlib
from collections.abc import Iterator

from PIL import Image, PngImagePlugin

_SIZE = (40, 30)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    """The picture as a file of that kind."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def as_inputs(data: bytes, question: str = "What is it?") -> str:
    """The picture and a question as /generate takes them."""
    return f"<image>{base64.b64encode(data).decode()}</image>\n{question}"


def plain(size: tuple[int, int] = _SIZE, color: tuple[int, int, int] = (200, 30, 40)) -> Image.Image:
    """A picture of one colour."""
    return Image.new("RGB", size, color)


def good_images() -> dict[str, tuple[bytes, tuple[int, int, int]]]:
    """Files of every mode, and about what colour their first pixel has."""
    red, white, gray = (200, 30, 40), (255, 255, 255), (128, 128, 128)
    palette = plain().quantize(4)
    return {
        "jpeg": (encoded(plain(), "JPEG", quality=95), red),
        "progressive jpeg": (encoded(plain(), "JPEG", progressive=True, quality=95), red),
        "grey jpeg": (encoded(Image.new("L", _SIZE, 128), "JPEG"), gray),
        "cmyk jpeg": (encoded(plain().convert("CMYK"), "JPEG", quality=95), red),
        "png": (encoded(plain(), "PNG"), red),
        "transparent png": (encoded(Image.new("RGBA", _SIZE, (9, 9, 9, 0)), "PNG"), white),
        "half transparent png": (encoded(Image.new("RGBA", _SIZE, (0, 0, 0, 127)), "PNG"), gray),
        "grey png with alpha": (encoded(Image.new("LA", _SIZE, (0, 0)), "PNG"), white),
        "palette png": (encoded(palette, "PNG"), red),
        "palette png with a transparent colour": (
            encoded(Image.new("P", _SIZE, 0), "PNG", transparency=0),
            white,
        ),
        "rgb png with a transparent colour": (encoded(plain(), "PNG", transparency=(200, 30, 40)), white),
        "16-bit png": (encoded(Image.new("I;16", _SIZE, 0x8000), "PNG"), gray),
        "1-bit png": (encoded(Image.new("1", _SIZE, 1), "PNG"), white),
        "webp": (encoded(plain(), "WEBP", quality=95), red),
        "lossless webp": (encoded(plain(), "WEBP", lossless=True), red),
        "transparent webp": (encoded(Image.new("RGBA", _SIZE, (0, 0, 0, 0)), "WEBP", lossless=True), white),
        "png with data behind its end": (encoded(plain(), "PNG") + b"<script>" * 10, red),
        "jpeg with broken metadata": (encoded(plain(), "JPEG", exif=b"Exif\0\0broken", quality=95), red),
    }


def bad_images() -> dict[str, bytes]:
    """Files that must be refused, by what is wrong with them."""
    files = {kind.lower(): encoded(plain(), kind) for kind in ("JPEG", "PNG", "WEBP")}
    bad = {
        f"{kind} cut after {part} of 8": data[: len(data) * part // 8]
        for kind, data in files.items()
        for part in range(1, 7)
    }
    bad |= {f"{kind} with its head alone": data[:12] for kind, data in files.items()}
    bad |= {f"{kind} in other bytes": b"\0" + data for kind, data in files.items()}
    # Zeros are a picture to WebP.
    bad |= {f"{kind} of zeros": files[kind][:40] + bytes(len(files[kind]) - 40) for kind in ("jpeg", "png")}
    bad |= _other_kinds() | _too_large() | _animations() | _bombs(files["png"])
    return bad


def mutated(seed: int, count: int) -> Iterator[bytes]:
    """Good files with bytes flipped, cut out, put in and taken from one another."""
    chance = random.Random(seed)
    files = [data for data, _ in good_images().values()]
    for _ in range(count):
        data = bytearray(chance.choice(files))
        for _ in range(chance.randint(1, 8)):
            place = chance.randrange(len(data) or 1)
            change = chance.randrange(4)
            if change == 0 and data:
                data[place] = chance.randrange(256)
            elif change == 1:
                del data[place : place + chance.randint(1, 64)]
            elif change == 2:
                data[place:place] = chance.randbytes(chance.randint(1, 16))
            else:
                other = chance.choice(files)
                begin = chance.randrange(len(other))
                data[place : place + 32] = other[begin : begin + 32]
        yield bytes(data)


def _other_kinds() -> dict[str, bytes]:
    kinds = {kind.lower(): encoded(plain(), kind) for kind in ("GIF", "BMP", "TIFF", "PPM", "ICO", "PDF")}
    return kinds | {
        "nothing": b"",
        "one byte": b"\xff",
        "text": b"hello, this is no picture",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>',
        "html": b"<html><script>alert(1)</script></html>",
        "zip": b"PK\x03\x04" + bytes(60),
        "elf": b"\x7fELF" + bytes(60),
        "gif labelled in its middle as png": b"GIF89a" + encoded(plain(), "PNG"),
        "riff that is sound": b"RIFF\x24\0\0\0WAVEfmt " + bytes(24),
        "random bytes": random.Random(1).randbytes(4096),
    }


def _too_large() -> dict[str, bytes]:
    return {
        "png too wide": encoded(plain((1025, 2)), "PNG"),
        "png too high": encoded(plain((2, 1025)), "PNG"),
        "jpeg too large": encoded(plain((1100, 1100)), "JPEG"),
        "webp too large": encoded(plain((1100, 20)), "WEBP"),
        "png of a thousand million pixels": _png_of_size(32_000, 32_000),
        "png of the most pixels": _png_of_size(2**31 - 1, 2**31 - 1),
        "png of no pixels": _png_of_size(0, 0),
        "png of no height": _png_of_size(100, 0),
    }


def _animations() -> dict[str, bytes]:
    frames = [plain(color=(200, 0, 0)), plain(color=(0, 200, 0))]
    options = {"save_all": True, "append_images": frames[1:], "duration": 100}
    return {
        "animated png": encoded(frames[0], "PNG", **options),
        "animated webp": encoded(frames[0], "WEBP", **options),
        "multi-picture jpeg": encoded(frames[0], "MPO", **options),
    }


def _bombs(png: bytes) -> dict[str, bytes]:
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "x" * 8_000_000, zip=True)
    scan = encoded(plain((64, 64)), "JPEG", progressive=True)
    begin = scan.index(b"\xff\xda")
    end = scan.index(b"\xff", begin + 2 + struct.unpack(">H", scan[begin + 2 : begin + 4])[0])
    return {
        "png with megabytes of packed text": encoded(plain(), "PNG", pnginfo=text),
        "progressive jpeg of a thousand scans": scan[:end] + scan[begin:end] * 1000 + scan[end:],
        "png with a wrong checksum": png[:29] + bytes(4) + png[33:],
        "png without its data": _png_of_size(10, 10),
        "png whose data is too short": _png(10, 10, zlib.compress(b"\0" * 5)),
        "png whose data is no deflate": _png(10, 10, b"not packed at all"),
        "png of an unknown colour type": _png_of_size(10, 10, color_type=7),
        "png of 3 bits": _png_of_size(10, 10, depth=3),
    }


def _png_of_size(width: int, height: int, *, depth: int = 8, color_type: int = 2) -> bytes:
    return _png(width, height, zlib.compress(b""), depth=depth, color_type=color_type)


def _png(width: int, height: int, data: bytes, *, depth: int = 8, color_type: int = 2) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
