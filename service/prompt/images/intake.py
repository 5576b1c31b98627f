"""Takes pictures in: fetched or decoded in threads, never on the event loop."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from service.domain import Image
from service.errors import ValidationError
from service.manifest import ImageLimits
from service.prompt.images.decoding import decode, decode_base64
from service.prompt.images.parts import ImageSource, InlineImage
from service.prompt.images.policy import ImagePolicy
from service.prompt.images.remote import RemoteImages


class ImageIntake:
    """All requests' way from sources to pixels, as many at once as the policy has workers."""

    def __init__(self, policy: ImagePolicy, remote: RemoteImages | None = None) -> None:
        self._policy = policy
        self._workers = ThreadPoolExecutor(policy.workers, thread_name_prefix="images")
        self._remote = remote or RemoteImages(policy)

    def check_count(self, count: int, limits: ImageLimits, *, name: str) -> None:
        """See that a request has not too many pictures. Raises: ValidationError."""
        most = min(limits.max_images, self._policy.max_images)
        if count > most:
            raise ValidationError(
                f"`{name}` has {count} images, and this model takes at most {most} in a request", param=name
            )

    async def images(
        self, sources: Sequence[ImageSource], limits: ImageLimits, *, name: str
    ) -> tuple[Image, ...]:
        """The pictures, in the order of their sources.

        Raises:
            ValidationError: one is no good; the message says which, and why.
        """
        self.check_count(len(sources), limits, name=name)
        images = []
        for number, source in enumerate(sources, start=1):
            which = "the image" if len(sources) == 1 else f"image {number} of {len(sources)}"
            images.append(await self._image(source, limits, name, which))
        return tuple(images)

    def close(self) -> None:
        """End the threads; pictures that wait are dropped."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def _image(self, source: ImageSource, limits: ImageLimits, name: str, which: str) -> Image:
        if isinstance(source, InlineImage):
            work = partial(self._inline, source, limits, name, which)
        else:
            data = await self._remote.fetch(source.url, name=name, which=which)
            work = partial(decode, data, limits, self._policy, name=name, which=which)
        return await asyncio.get_running_loop().run_in_executor(self._workers, work)

    def _inline(self, source: InlineImage, limits: ImageLimits, name: str, which: str) -> Image:
        try:
            data = decode_base64(source.base64)
        except ValueError as error:
            raise ValidationError(f"{which} is no valid base64", param=name) from error
        return decode(data, limits, self._policy, name=name, which=which)
