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
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=_JPEG_QUALITY)
    return f"<image>{base64.b64encode(buffer.getvalue()).decode()}</image>"


def picture_bodies(*, seed: str, count: int, side: int, tokens: int) -> list[bytes]:
    """Requests about square pictures of `side` pixels, for exactly `tokens` tokens each."""
    chance = random.Random(seed)
    parameters = {"max_new_tokens": tokens, "ignore_eos": True}
    return [
        json.dumps(
            {
                "inputs": f"{inline(draw(scene(chance.getrandbits(62)), side))}\n{_QUESTION}",
                "parameters": parameters,
            }
        ).encode()
        for _ in range(count)
    ]
