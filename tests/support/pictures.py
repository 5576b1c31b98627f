"""Pictures of the demo vision model's scenes, as clients send them."""

import base64

from PIL import Image

from export.demo_vlm.evaluate import chat_prompt
from export.demo_vlm.scenes import Scene, Spot, draw
from export.demo_vlm.shape import IMAGE_MARK
from tests.support.bad_images import encoded

VISION_MODEL = "tiny-shapes-vlm"


def one_shape(shape: str, color: str, *, background: str = "white", quarter: int = 0) -> Scene:
    """A scene of one shape in the middle of a quarter."""
    spot = Spot(quarter=quarter, x=28.0 + 56.0 * (quarter % 2), y=28.0 + 56.0 * (quarter // 2), radius=19.0)
    return Scene(background=background, shape=shape, color=color, spots=(spot,))


def jpeg(scene: Scene, size: int = 224) -> bytes:
    """The scene as a JPEG file."""
    return encoded(draw(scene, size), "JPEG", quality=95)


def tag(data: bytes) -> str:
    """The picture as it stands in `inputs`."""
    return f"<image>{base64.b64encode(data).decode()}</image>"


def asked(data: bytes, question: str) -> str:
    """The picture and the question in the model's chat markup, as `inputs`."""
    return chat_prompt(question).replace(IMAGE_MARK, tag(data))


def data_uri(picture: Image.Image) -> str:
    """The picture as OpenAI's `image_url` takes it."""
    return f"data:image/png;base64,{base64.b64encode(encoded(picture, 'PNG')).decode()}"
