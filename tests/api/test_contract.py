"""The product answers as its OpenAPI document says, whatever it is sent."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx2
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

from gesso.accounts.access import COOKIE
from tests.api.people import ENDED, Person
from tests.product import Product

ENDLESS = ["/api/events"]
"""A stream has no end to wait for; it is tested by hand below."""
ENDS_THE_SESSION = ["/api/auth/signup", "/api/auth/login", "/api/auth/logout", "/api/auth/reset-password/confirm"]
EXAMPLES = 15


def explored(
    url: str, *, session: str | None, without: Iterable[str], closed: Iterable[str] = ()
) -> tuple[set[str], list[str]]:
    """Send each operation what its schema allows and what it does not; what was tried, and every broken word.

    Two phases of schemathesis: one case per boundary of every parameter, then generated ones. At `closed` whoever
    asks is turned away at the door, whatever they send: a few cases.
    """
    config = SchemathesisConfig.from_dict(
        {
            "seed": 20_26,
            "request-timeout": 10,
            "cache": {"enabled": False},
            "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none"},
            "phases": {"stateful": {"enabled": False}},
            "auth": {"openapi": {"session": {"api_key": session}}} if session else {},
            # What a model takes is told by its capabilities, not by the schema of the route.
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "4xx"]}},
            "operations": [
                # Other methods on these addresses mean a picture whose id is "uploads", a connection called "order" …
                {
                    "include-path": [
                        "/api/media/uploads",
                        "/api/admin/connections/order",
                        "/api/admin/models/order",
                        "/api/admin/styles/order",
                        "/api/admin/plans/order",
                        "/api/admin/packs/order",
                        "/api/admin/webhook-events/replay-failed",
                    ],
                    "checks": {
                        "unsupported_method": {"enabled": False},
                        "allow_header_conformance": {"enabled": False},
                    },
                },
                {
                    "include-path": sorted(closed),
                    "generation": {"max-examples": 2, "deterministic": True, "database": "none"},
                    "phases": {"coverage": {"enabled": False}, "stateful": {"enabled": False}},
                },
            ],
        }
    )
    schema = schemathesis.openapi.from_url(f"{url}/api/openapi.json", config=config)
    tried: set[str] = set()
    broken: dict[str, str] = {}
    for event in from_schema(schema.exclude(path=list(without))).execute():
        if isinstance(event, events.FatalError):
            raise event.exception
        if isinstance(event, events.NonFatalError):
            broken[f"{event.label}: {event.value}"] = ""
        if isinstance(event, events.ScenarioFinished):
            tried |= {event.label or ""} if event.recorder.interactions else set()
            for check in (one for checks in event.recorder.checks.values() for one in checks):
                if check.status == Status.FAILURE and check.failure_info is not None:
                    failure = check.failure_info.failure
                    broken.setdefault(
                        f"{event.label}: {failure.title}: {failure.message}", check.failure_info.code_sample
                    )
    return tried, [f"{what}\n    {sample}" for what, sample in sorted(broken.items())]


async def documented(client: httpx2.AsyncClient) -> dict[str, dict[str, Any]]:
    """The operations of the document: path → method → operation."""
    found: dict[str, dict[str, Any]] = (await client.get("/api/openapi.json")).json()["paths"]
    return found


def operations(paths: dict[str, dict[str, Any]], without: Iterable[str]) -> set[str]:
    """All operations, as schemathesis calls them."""
    return {f"{method.upper()} {path}" for path, item in paths.items() for method in item if path not in without}


async def test_a_stranger_gets_documented_answers(product: Product, stranger: httpx2.AsyncClient) -> None:
    paths = await documented(stranger)
    closed = {path for path, item in paths.items() if all("security" in operation for operation in item.values())}
    assert "/api/auth/signup" not in closed
    tried, broken = await asyncio.to_thread(explored, product.url, session=None, without=ENDLESS, closed=closed)
    assert tried == operations(paths, ENDLESS)
    assert not broken, "\n\n".join(broken)


async def test_somebody_signed_in_gets_documented_answers(product: Product, ada: Person) -> None:
    await ada.made(count=2)
    assert (await ada.upload()).status_code == 201
    without = [*ENDLESS, *ENDS_THE_SESSION]
    paths = await documented(ada.http)
    closed = {path for path in paths if path.startswith("/api/admin/")}  # she is no operator
    tried, broken = await asyncio.to_thread(
        explored, product.url, session=ada.http.cookies[COOKIE], without=without, closed=closed
    )
    assert tried == operations(paths, without)
    assert not broken, "\n\n".join(broken)
    assert (await ada.http.get("/api/auth/me")).json()["user"]["id"] == str(ada.actor.user_id)


async def test_what_needs_a_session_says_so(product: Product, stranger: httpx2.AsyncClient) -> None:
    document = (await stranger.get("/api/openapi.json")).json()
    assert document["components"]["securitySchemes"]["session"]["name"] == COOKIE
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert ("401" in operation["responses"] and path != "/api/auth/login") == ("security" in operation), path
            assert operation["summary"] and operation["tags"], (method, path)


async def test_the_event_stream_tells_what_changes_and_resumes(product: Product, ada: Person) -> None:
    async with ada.http.stream("GET", "/api/events") as stream:
        assert stream.status_code == 200 and stream.headers["content-type"].startswith("text/event-stream")
        told = told_by(stream)
        first = await anext(told)
        assert first["event"] is None and first["id"].isdigit()  # where a newcomer begins to count
        submitted = (await ada.submit()).json()["id"]
        seen: dict[str, set[str]] = {"generation": set(), "credits": set(), "asset": set()}
        async with asyncio.timeout(30):
            async for event in told:
                seen[event["event"]].add(event["data"]["id"])
                status = (await ada.http.get(f"/api/generate/status/{submitted}")).json()["status"]
                if status in ENDED and submitted in seen["generation"] and seen["credits"]:
                    break
    assert submitted in seen["generation"]
    # a browser that was away is told from the rows what it missed
    async with ada.http.stream("GET", "/api/events", headers={"Last-Event-ID": first["id"]}) as stream:
        missed = await anext(told_by(stream))
    assert missed["event"] == "generation" and missed["data"] == {"id": submitted}
    assert int(missed["id"]) > int(first["id"])


async def test_the_event_stream_is_closed_to_strangers_and_strict(stranger: httpx2.AsyncClient, ada: Person) -> None:
    refused = await stranger.get("/api/events")
    assert refused.status_code == 401 and refused.headers["content-type"] == "application/problem+json"
    for bad in ("-1", "x", str(2**63)):
        answer = await ada.http.get("/api/events", params={"after": bad})
        assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "after"


async def told_by(stream: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    """The events of a stream as {id, event, data}; the comments that keep it open are left out."""
    told: dict[str, Any] = {"id": None, "event": None, "data": None}
    async for line in stream.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            if name in told:
                told[name] = json.loads(value) if name == "data" else value
        else:
            if told["id"] is not None or told["event"] is not None:
                yield told
            told = {"id": None, "event": None, "data": None}
