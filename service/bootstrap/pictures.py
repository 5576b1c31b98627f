"""Builds what vision models share: the pictures' workers, and the room for them."""

import asyncio

from service.manifest import ImageLimits, Manifest
from service.picture_encoder import Vision
from service.prompt.images.intake import ImageIntake
from service.prompt.images.policy import ImagePolicy
from service.prompt.images.room import PictureRoom
from service.settings import ImageSettings


class Pictures:
    """The one intake of all models' pictures."""

    def __init__(self, settings: ImageSettings) -> None:
        self._settings = settings
        self._intake = ImageIntake(ImagePolicy(**settings.model_dump(exclude={"max_open"})))
        self._room = PictureRoom(settings.max_open)

    def vision(self, manifest: Manifest) -> Vision | None:
        """What the model needs to see; None for one that doesn't."""
        if manifest.image_limits is None:
            return None
        return Vision(limits=self._limits(manifest.image_limits), intake=self._intake, room=self._room)

    def _limits(self, model: ImageLimits) -> ImageLimits:
        """The model's and the operator's, whichever is less."""
        names = ("max_images", "max_width", "max_height")
        least = {name: min(getattr(model, name), getattr(self._settings, name)) for name in names}
        return model.model_copy(update=least)

    async def run(self) -> None:
        """End the workers when the service ends."""
        try:
            await asyncio.Event().wait()
        finally:
            self._intake.close()
