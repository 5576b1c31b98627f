"""Decoding a picture takes no more memory than the README says."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

SIDE = 1024
MOST_MIB = 24
# With `fit`, for each pixel that the picture had: WebP with alpha takes the most.
MOST_BYTES_A_PIXEL = 22
MEGAPIXELS = 8

# In a process of its own, whose greatest size the kernel keeps; a small picture first loads what is needed.
DECODE = """
import sys
from pathlib import Path
from service.manifest import ImageLimits
from service.prompt.images.decoding import decode
from service.prompt.images.policy import ImagePolicy

limits = ImageLimits(max_images=1, max_width=1024, max_height=1024, tokens_per_image=1, marks=[])
policy = ImagePolicy(resize=sys.argv[3], max_bytes=2**26)
small, large = (Path(path).read_bytes() for path in sys.argv[1:3])

def kib(field):
    return int(Path("/proc/self/status").read_text().split(field)[1].split()[0])

decode(small, limits, policy, name="inputs", which="the image")
Path("/proc/self/clear_refs").write_text("5")
before = kib("VmRSS:")
decode(large, limits, policy, name="inputs", which="the image")
print((kib("VmHWM:") - before) * 1024)
"""

KINDS = {
    "jpeg": ("RGB", "JPEG", {"quality": 90}),
    "progressive cmyk jpeg": ("CMYK", "JPEG", {"quality": 90, "progressive": True}),
    "png with alpha": ("RGBA", "PNG", {}),
    "16-bit png": ("I;16", "PNG", {}),
    "palette png": ("P", "PNG", {}),
    "webp with alpha": ("RGBA", "WEBP", {"lossless": True, "quality": 0, "method": 0}),
}

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells it")


def picture(size: tuple[int, int], kind: str) -> bytes:
    mode, form, options = KINDS[kind]
    shown = Image.new(mode, size, 777) if mode == "I;16" else Image.linear_gradient("L").resize(size)
    buffer = io.BytesIO()
    (shown if mode == "I;16" else shown.convert("RGB").convert(mode)).save(buffer, form, **options)
    return buffer.getvalue()


def peak_bytes(kind: str, size: tuple[int, int], resize: str, folder: Path) -> int:
    files = folder / "small", folder / "large"
    for file, pixels in zip(files, ((8, 8), size), strict=True):
        file.write_bytes(picture(pixels, kind))
    command = [sys.executable, "-c", DECODE, *map(str, files), resize]
    return int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_picture_takes_no_more_than_is_documented(kind: str, tmp_path: Path) -> None:
    assert peak_bytes(kind, (SIDE, SIDE), "refuse", tmp_path) < MOST_MIB * 2**20


@pytest.mark.parametrize("kind", KINDS)
def test_with_fit_the_memory_is_in_proportion_to_the_pixels(kind: str, tmp_path: Path) -> None:
    size = (4000, MEGAPIXELS * 250)
    assert (
        peak_bytes(kind, size, "fit", tmp_path) < MOST_BYTES_A_PIXEL * MEGAPIXELS * 10**6 + MOST_MIB * 2**20
    )
