"""ThumbHash: the bytes of the reference implementation (npm `thumbhash` 0.1.1), up to rounding of exact halves."""

import pytest
from PIL import Image

from gesso.media.blur import thumb_hash


def scene(width: int, height: int, *, transparent: bool) -> Image.Image:
    image = Image.new("RGBA", (width, height), (200, 30, 30, 255))
    image.paste((30, 200, 60, 255), (0, 0, width // 2, height // 3))
    image.paste((20, 20, 220, 255), (width // 3, height // 2, width, height))
    if transparent:
        image.paste((250, 250, 10, 0), (width // 2, 0, width, height // 2))
        image.paste((90, 10, 200, 100), (0, height // 2, width // 4, height))
    return image


@pytest.mark.parametrize(
    ("width", "height", "transparent", "reference"),
    [
        (32, 24, True, "56f581648e2abf788f65ab87e9f8788730c145279f76885908"),
        (18, 32, True, "9605825b0c2abe8fc58a698f8f8708025d73f17987a785"),
        (32, 32, False, "56770277167d7689cf6887ac778778678666c7fa74a60603"),
        (32, 9, False, "16570272967d7689cf67b77abd4f696a50"),
    ],
)
def test_the_reference_s_bytes(width: int, height: int, transparent: bool, reference: str) -> None:
    ours = thumb_hash(scene(width, height, transparent=transparent)).hex()
    assert ours[:10] == reference[:10]  # mean colour, scales, shape
    assert len(ours) == len(reference)
    assert all(abs(int(a, 16) - int(b, 16)) <= 1 for a, b in zip(ours, reference, strict=True))


def test_any_shape_and_an_invisible_picture() -> None:
    for size in ((1, 1), (3000, 2), (2, 3000)):
        assert 5 <= len(thumb_hash(Image.new("RGB", size, "teal"))) <= 25
    assert len(thumb_hash(Image.new("RGBA", (40, 40), (0, 0, 0, 0)))) <= 25
