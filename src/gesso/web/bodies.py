"""Bodies that are read as they came, for what is signed over their very bytes."""

from fastapi import Request

from gesso.core.errors import TooLarge


async def notice_body(request: Request, most_bytes: int) -> bytes:
    """The body of somebody's notice. Raises TooLarge as soon as it is longer than `most_bytes`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise TooLarge("This notice is too large.")
    return bytes(body)
