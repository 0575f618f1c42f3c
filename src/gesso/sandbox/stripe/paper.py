"""What the hosted pages are made with: templates, money in words, and headers that allow no script."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gesso.sandbox.stripe.periods import day
from gesso.sandbox.stripe.store import Obj

FOLDER = Path(__file__).with_name("pages")
_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
HEADERS = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_SIGNS = {"usd": "$", "eur": "€", "gbp": "£"}
_WHOLE = {"jpy", "krw", "vnd", "clp", "xaf", "xof"}


def money(amount: int, currency: str) -> str:
    """Minor units as people write them."""
    sign = _SIGNS.get(currency, currency.upper() + " ")
    figure = f"{abs(amount):,}" if currency in _WHOLE else f"{abs(amount) / 100:,.2f}"
    return f"{'−' if amount < 0 else ''}{sign}{figure}"


def rhythm(recurring: Obj) -> str:
    """Such as "per month"."""
    count = recurring["interval_count"]
    return f"per {recurring['interval']}" if count == 1 else f"every {count} {recurring['interval']}s"


_pages = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)
_pages.filters |= {"money": money, "day": day, "rhythm": rhythm}


def show(name: str, status: int = 200, **values: Any) -> Response:
    """A page."""
    text = _pages.get_template(name).render(**values)
    return HTMLResponse(text, status, headers=HEADERS)


def problem(base: str, status: int, title: str, words: str) -> Response:
    """A page that only says something."""
    return show("notice.html", status, title=title, words=words, link=None, link_words="", base=base)


def go(url: str) -> Response:
    return RedirectResponse(url, 303, headers={"Cache-Control": "no-store"})


async def fields_of(request: Request) -> Mapping[str, str]:
    """The form as plain texts."""
    async with request.form(max_fields=50, max_files=0) as sent:
        return {name: value for name, value in sent.items() if isinstance(value, str)}
