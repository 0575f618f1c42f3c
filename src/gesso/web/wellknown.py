"""`/.well-known/security.txt` (RFC 9116): where a weakness of this site is reported, once its operator says so."""

from datetime import timedelta

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from gesso.core.errors import NotFound

router = APIRouter(include_in_schema=False)

_TRUE_FOR = timedelta(days=180)
"""The RFC asks for an end, and for less than a year."""


@router.get("/.well-known/security.txt")
async def security_txt(request: Request) -> Response:
    """Contact and how long it holds. Raises NotFound while no contact is set."""
    site = request.app.state.settings.site
    if site.security_contact is None:
        raise NotFound("There is nothing at this address.")
    expires = (request.app.state.clock.now() + _TRUE_FOR).replace(microsecond=0)
    lines = (
        f"Contact: {site.security_contact}",
        f"Expires: {expires.isoformat()}",
        "Preferred-Languages: en",
        f"Canonical: {site.url}/.well-known/security.txt",
    )
    headers = {"Cache-Control": "public, max-age=86400"}
    return PlainTextResponse("\n".join(lines) + "\n", headers=headers)
