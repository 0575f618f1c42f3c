"""From a template's name and some values to an answer.

Templates live in `src/gesso/<room>/templates/<room>/`, the shared ones in `src/gesso/web/templates/`.
A name that a template uses and nobody gave is an error (StrictUndefined), never an empty string.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.datastructures import State

from gesso.core.money import format_credits
from gesso.web.brand import Brand
from gesso.web.errors import Problem
from gesso.web.wording import an, things, title, unit_words, word

PACKAGE = Path(__file__).parents[1]
STATIC = PACKAGE / "web" / "static"
_ADDRESS = ":/%#?=@[]!$&'()*+,;"
"""What stands in an address as it is; a header takes nothing beyond ASCII for sure."""
THEME_COOKIE = "gesso_theme"
FLASH_COOKIE = "gesso_flash"

ToastKind = Literal["info", "ok", "bad"]

# The moment that relative times are counted from, while one template renders.
_now: ContextVar[datetime] = ContextVar("now")


async def page(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """A full page. Templates see `request`, `shell` (None when signed out), `brand`, `theme`, `modules`, `credited`,
    `flash`.

    `app.state.shell(request)` is asked once for the signed-in frame; a caller that already has it passes it
    as `shell=`.
    """
    if "shell" not in context:
        context["shell"] = await request.app.state.shell(request)
    context["flash"] = _flash(request)
    response = HTMLResponse(html(request, template, **context), status_code=status)
    # a page says who is signed in and what they own: no shared cache may keep it
    response.headers.setdefault("Cache-Control", "private, no-store")
    response.headers.append("Vary", "Cookie, HX-Request")
    if context["flash"]:
        response.delete_cookie(FLASH_COOKIE)
    return response


def fragment(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """A part of a page, for htmx to swap in. There is no shell unless the caller gives one."""
    response = HTMLResponse(html(request, template, **context), status_code=status)
    response.headers.setdefault("Cache-Control", "private, no-store")
    return response


def html(request: Request, template: str, **context: Any) -> str:
    """The text of a template, for answers made of several."""
    state = request.app.state
    token = _now.set(state.clock.now())
    try:
        values = {
            "request": request, "brand": _brand(state), "theme": _theme(request), "modules": _modules(state),
            "credited": _credited(state),
        }  # fmt: skip
        return environment().get_template(template).render(values, **context)
    finally:
        _now.reset(token)


def redirect(request: Request, url: str) -> Response:
    """Go to `url`: 303, or HX-Redirect when htmx asked (it would follow a 303 and swap the page in)."""
    if is_htmx(request):
        return Response(status_code=204, headers={"HX-Redirect": quote(url, safe=_ADDRESS)})
    return RedirectResponse(url, status_code=303)


def toast(response: Response, text: str, kind: ToastKind = "info", *, detail: str = "", undo: str = "") -> Response:
    """Let the page say `text` in a corner, once. Returns `response`.

    With a fragment it travels in the HX-Trigger header; with a redirect it waits in a cookie for the next
    page. `detail` is a second line; `undo` an address to POST to, drawn as an Undo button.
    """
    message = {"text": text, "kind": kind, "detail": detail, "undo": undo}
    if "location" in response.headers or "hx-redirect" in response.headers:
        packed = quote(json.dumps(message, ensure_ascii=False))
        response.set_cookie(FLASH_COOKIE, packed, max_age=60, httponly=True, samesite="lax")
        return response
    triggers = json.loads(response.headers.get("HX-Trigger", "{}"))
    triggers["gesso:toast"] = message
    response.headers["HX-Trigger"] = json.dumps(triggers)
    return response


async def problem_page(request: Request, status: int, problem: Problem) -> Response:
    """An error for people: a page that helps on, or for htmx a toast that leaves the page as it was."""
    if is_htmx(request):
        response = Response(status_code=status, headers={"HX-Reswap": "none"})
        return toast(response, problem.title, "bad", detail=problem.detail)
    try:
        shell = await request.app.state.shell(request)
    except Exception:  # noqa: BLE001 - the page about a failure must appear whatever has failed
        shell = None
    return await page(request, "error.html", status=status, problem=problem, shell=shell)


def is_htmx(request: Request) -> bool:
    """Whether htmx made the request, and so expects a fragment."""
    return request.headers.get("HX-Request") == "true"


def local_path(url: str | None, default: str) -> str:
    """`url` when it leads to a page of this site, else `default`: what comes in ?next= is anyone's word."""
    if url and re.fullmatch(r"/(?![/\\])[^\\\s\x00-\x1f]*", url):
        return url
    return default


def _brand(state: State) -> Brand:
    # a function, where the edition may change while the server runs
    brand: Brand | Callable[[], Brand] | None = getattr(state, "brand", None)
    return brand() if callable(brand) else brand or Brand()


def _modules(state: State) -> tuple[str, ...]:
    """The parts of the product that the edition has."""
    modules: Callable[[], tuple[str, ...]] | None = getattr(state, "modules", None)
    return modules() if modules is not None else ()


def _credited(state: State) -> bool:
    """Whether this site counts in credits at all; else in what its plans give."""
    credited: Callable[[], bool] | None = getattr(state, "credited", None)
    return credited() if credited is not None else True


def _theme(request: Request) -> str | None:
    theme = request.cookies.get(THEME_COOKIE)
    return theme if theme in ("dark", "light") else None


def _flash(request: Request) -> dict[str, str] | None:
    packed = request.cookies.get(FLASH_COOKIE)
    if not packed:
        return None
    try:
        message = json.loads(unquote(packed))
        kind = message["kind"] if message["kind"] in ("info", "ok", "bad") else "info"
        # an undo address is only ever one of ours
        undo = local_path(str(message["undo"]), "")
        return {"text": str(message["text"]), "kind": kind, "detail": str(message["detail"]), "undo": undo}
    except (ValueError, KeyError, TypeError):
        return None


# ── the environment ──────────────────────────────────────────────────────────────────────────────


@cache
def environment() -> Environment:
    """The one Jinja environment, with every room's templates."""
    folders = [PACKAGE / "web" / "templates", *sorted(PACKAGE.glob("*/templates"))]
    env = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "credits": credits_text,
        "credits_words": credits_words,
        "ago": ago,
        "exact": exact,
        "bytes": bytes_text,
        "number": number,
        "base64": base64_text,
        "tone": tone,
        "initials": initials,
    }
    env.globals |= {"asset": asset, "imports": imports, "icon": icon, "when": when, "static": static}
    env.globals |= {"word": word, "heading": title, "an": an, "wording": things, "unit_words": unit_words}
    return env


def credits_text(micro: int) -> str:
    """Microcredits as people read them: 1_284_000_000 → "1,284", 200_000 → "0.2"."""
    whole, point, rest = format_credits(micro).partition(".")
    digits = whole.lstrip("-")
    return f"{whole[: -len(digits)]}{int(digits):,}{point}{rest}"


def credits_words(micro: int) -> str:
    """ "1 credit", "4 credits", "0.2 credits", in the edition's word for them."""
    return f"{credits_text(micro)} {word('credit' if format_credits(micro) == '1' else 'credits')}"


def number(value: float) -> str:
    """1234567 → "1,234,567"; a decimal part is kept as it is."""
    return f"{value:,}"


def bytes_text(size: int) -> str:
    """412_345 → "412 kB", decimal units as file managers show them."""
    if size < 1000:
        return f"{size} B"
    amount = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        amount /= 1000
        if amount < 999.5 or unit == "TB":
            break
    return f"{amount:.0f} {unit}" if amount >= 100 or unit == "kB" else f"{amount:.1f} {unit}"


def ago(moment: datetime) -> str:
    """“2 min ago”, “in 3 days”; the same words as lib/times.js, which keeps them ticking."""
    now = _now.get(None) or datetime.now(UTC)
    seconds = (now - moment).total_seconds()
    minute, hour, day = 60, 3600, 86400
    if seconds <= -45:
        return _ahead(moment, -seconds, now)
    if seconds < 45:
        return "just now"
    if seconds < hour:
        return f"{max(1, round(seconds / minute))} min ago"
    if seconds < day:
        return f"{round(seconds / hour)} h ago"
    if seconds < 2 * day:
        return "yesterday"
    if seconds < 7 * day:
        return f"{int(seconds // day)} days ago"
    return _date(moment, now)


def _ahead(moment: datetime, seconds: float, now: datetime) -> str:
    minute, hour, day = 60, 3600, 86400
    if seconds < hour:
        return f"in {max(1, round(seconds / minute))} min"
    if seconds < day:
        return f"in {round(seconds / hour)} h"
    if seconds < 7 * day:
        days = round(seconds / day)
        return "in 1 day" if days == 1 else f"in {days} days"
    return _date(moment, now)


def _date(moment: datetime, now: datetime) -> str:
    words = f"{moment.day} {moment:%b}"
    return words if moment.year == now.year else f"{words} {moment.year}"


def exact(moment: datetime) -> str:
    """“12 May 2026, 10:42 UTC”, until a script tells it in the reader's own zone."""
    utc = moment.astimezone(UTC)
    return f"{utc.day} {utc:%b %Y, %H:%M} UTC"


def when(moment: datetime) -> Markup:
    """A <time> that reads “2 min ago”, ticks, and has the exact time as its title."""
    return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(
        moment.astimezone(UTC).isoformat(timespec="seconds"), exact(moment), ago(moment)
    )


def base64_text(data: bytes | None) -> str:
    """Bytes for a data-attribute (a ThumbHash for data-blur); "" for None."""
    return base64.b64encode(data or b"").decode()


def initials(name: str) -> str:
    """“Ada Kovač” → “AK”, “ada” → “A”."""
    words = name.split()
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


def tone(text: str) -> str:
    """One of six classes for an avatar's colour, always the same for the same text."""
    return f"tone-{hashlib.sha256(text.encode()).digest()[0] % 6 + 1}"


# ── files ────────────────────────────────────────────────────────────────────────────────────────


class AssetMissing(LookupError):
    """A template names a file or an icon that the build does not know."""


@cache
def _manifest_at(changed_ns: int) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((STATIC / "dist" / "manifest.json").read_text())
    return manifest


def _manifest() -> dict[str, Any]:
    # read again after a build, so that a running server never points at files that are gone
    path = STATIC / "dist" / "manifest.json"
    try:
        return _manifest_at(path.stat().st_mtime_ns)
    except FileNotFoundError:
        raise AssetMissing("The front end is not built. Run: python hatch_build.py") from None


def asset(name: str) -> str:
    """The address of a built file: asset("app.css") → "/static/dist/app-4F2QKX3A.css"."""
    try:
        return f"/static/dist/{_manifest()['assets'][name]}"
    except KeyError:
        raise AssetMissing(f"“{name}” is not among the built files.") from None


def imports(name: str) -> list[str]:
    """The addresses of what a built script imports, to be fetched along with it."""
    return [asset(other) for other in _manifest()["imports"].get(name, [])]


@cache
def static(name: str) -> str:
    """The address of a file under web/static, with its content's hash: it may be cached for good."""
    path = STATIC / name
    if not path.is_file():
        raise AssetMissing(f"There is no file “{name}” in web/static.")
    return f"/static/{name}?v={hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"


def icon(name: str, extra: str = "") -> Markup:
    """An <svg> of the Lucide icon `name`, hidden from screen readers. `extra` adds classes."""
    if name not in _manifest()["icons"]:
        raise AssetMissing(f"The icon “{name}” is not in the sprite: not Lucide's, or the build is old.")
    classes = f"icon {extra}".strip()
    return Markup('<svg class="{}" aria-hidden="true"><use href="{}#{}"/></svg>').format(
        classes, asset("icons.svg"), escape(name)
    )
