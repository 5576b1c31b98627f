"""Pixels travel beside the message, not inside it."""

from service.domain import GenerationRequest, Image, PicturePrompt, Sampling
from service.engine.messages import Add, Cancel, from_frames, to_frames


def _add(*images: Image) -> Add:
    texts = ("see ", *(" then" for _ in images))
    pictures = PicturePrompt(texts=texts, images=images, image_tokens=16 * len(images))
    request = GenerationRequest(prompt_ids=[1, 2], sampling=Sampling(max_new_tokens=3), pictures=pictures)
    return Add(7, request)


def test_each_image_is_a_frame_of_its_own_and_comes_back_in_its_place() -> None:
    first = Image(width=2, height=1, pixels=b"abcdef")
    second = Image(width=1, height=1, pixels=b"xyz")
    message = _add(first, second)
    frames = to_frames(message)
    assert frames[1:] == [b"abcdef", b"xyz"]
    assert b"abcdef" not in frames[0]
    assert from_frames(iter(frames)) == message


def test_pixels_are_not_copied_on_the_way_out() -> None:
    pixels = bytes(300)
    assert to_frames(_add(Image(width=10, height=10, pixels=pixels)))[1] is pixels


def test_messages_without_images_are_one_frame() -> None:
    text = Add(1, GenerationRequest(prompt_ids=[1], sampling=Sampling(max_new_tokens=1)))
    for message in (_add(), text, Cancel(4)):
        frames = to_frames(message)
        assert len(frames) == 1
        assert from_frames(iter(frames)) == message


def test_frames_behind_a_message_are_left_for_the_next_one() -> None:
    frames = iter([*to_frames(_add(Image(width=1, height=1, pixels=b"rgb"))), *to_frames(Cancel(4))])
    assert isinstance(from_frames(frames), Add)
    assert from_frames(frames) == Cancel(4)
