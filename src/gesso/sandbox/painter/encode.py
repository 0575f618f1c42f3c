"""Pictures to bytes."""

import io
from typing import Literal, get_args

from PIL import Image

Format = Literal["jpeg", "png", "webp"]
FORMATS: tuple[Format, ...] = get_args(Format)


def encode(picture: Image.Image, file_format: Format) -> bytes:
    """The picture as a file. PNG is packed lightly: painting is meant to take less time than packing."""
    out = io.BytesIO()
    if file_format == "jpeg":
        picture.save(out, "JPEG", quality=90)
    elif file_format == "png":
        picture.save(out, "PNG", compress_level=3)
    else:
        picture.save(out, "WEBP", quality=88, method=2)
    return out.getvalue()
