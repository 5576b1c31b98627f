"""What Connection writes is put together again, however the socket cuts it."""

from hypothesis import given
from hypothesis import strategies as st

from service.engine.frames import FrameReader, framed


@given(payloads=st.lists(st.binary(max_size=40), max_size=6), size=st.integers(1, 64))
def test_frames_come_back_whole_from_pieces_of_any_size(payloads: list[bytes], size: int) -> None:
    stream = b"".join(part for payload in payloads for part in framed(payload))
    reader = FrameReader()
    found = [
        frame for start in range(0, len(stream), size) for frame in reader.feed(stream[start : start + size])
    ]
    assert found == payloads
