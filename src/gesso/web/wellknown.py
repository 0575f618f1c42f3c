"""Addresses that programs know: where a weakness is reported, the product's mark, and how it is installed."""

from datetime import timedelta

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from gesso.core.errors import NotFound
from gesso.web.brand import brand_svg, manifest

router = APIRouter(include_in_schema=False)

_TRUE_FOR = timedelta(days=180)
"""The RFC asks for an end, and for less than a year."""


@router.get("/brand.svg")
async def mark(request: Request) -> Response:
    """The product's mark in the edition's colours."""
    svg = brand_svg(request.app.state.brand().colours)
    return Response(svg, media_type="image/svg+xml", headers={"Cache-Control": "public, max-age=31536000, immutable"})


@router.get("/manifest.webmanifest")
async def web_manifest(request: Request) -> Response:
    """How browsers install the product: its name, colours and mark."""
    headers = {"Cache-Control": "public, max-age=3600"}
    return JSONResponse(manifest(request.app.state.brand()), media_type="application/manifest+json", headers=headers)


@router.get("/.well-known/security.txt")
async def security_txt(request: Request) -> Response:
    """RFC 9116: contact and how long it holds. Raises NotFound while no contact is set."""
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
