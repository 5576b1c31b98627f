"""Makes requests about pictures: the same ones for the same seed, no two alike."""

import base64
import io
import json
import random

from PIL import Image

from export.demo_vlm.scenes import draw, scene

_QUESTION = "What is in this image?"
_JPEG_QUALITY = 90


def inline(picture: Image.Image, kind: str = "JPEG") -> str:
    """The picture as it stands in `inputs`."""
    return f"<image>{_encoded(picture, kind)}</image>"


def drawn_jpeg(chance: random.Random, side: int) -> str:
    """A square picture of `side` pixels that `chance` decides: a JPEG in base64."""
    return _encoded(draw(scene(chance.getrandbits(62)), side), "JPEG")


def picture_bodies(*, seed: str, count: int, side: int, tokens: int) -> list[bytes]:
    """Requests about square pictures of `side` pixels, for exactly `tokens` tokens each."""
    chance = random.Random(seed)
    parameters = {"max_new_tokens": tokens, "ignore_eos": True}
    return [
        json.dumps(
            {
                "inputs": f"<image>{drawn_jpeg(chance, side)}</image>\n{_QUESTION}",
                "parameters": parameters,
            }
        ).encode()
        for _ in range(count)
    ]


def _encoded(picture: Image.Image, kind: str) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=_JPEG_QUALITY)
    return base64.b64encode(buffer.getvalue()).decode()
