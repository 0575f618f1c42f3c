"""What whole flows against the sandbox need, whichever provider they play: a picture, a text, the bill."""

import io
from typing import Any

import httpx2
from PIL import Image

from gesso.providers.base import InputFile
from gesso.providers.text import TextEnd, TextRequest, Writer


def picture(width: int = 96, height: int = 64, colour: str = "navy") -> InputFile:
    """A PNG of one colour."""
    data = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(data, "PNG")
    return InputFile("image/png", data.getvalue())


async def text_of(adapter: Writer, request: TextRequest) -> tuple[str, TextEnd]:
    """The whole text, and how it ended."""
    parts = [part async for part in adapter.write(request, "k")]
    end = parts.pop()
    assert isinstance(end, TextEnd)
    return "".join(str(part) for part in parts), end


async def bill_of(origin: str, provider: str) -> list[dict[str, Any]]:
    """The provider's lines on the sandbox's bill, oldest first."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        jobs: list[dict[str, Any]] = (await client.get(f"{origin}/_bill")).json()["jobs"]
    return [job for job in jobs if job["provider"] == provider]
