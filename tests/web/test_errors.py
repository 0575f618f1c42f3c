"""What nobody expected is still answered in full, and written down without what addresses carry."""

import httpx2
import pytest
from fastapi import FastAPI, Response
from structlog.testing import capture_logs


def client_of(site: FastAPI) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(site, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://testserver")


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
async def test_a_failure_is_answered_with_all_headers_and_no_token_in_the_log(site: FastAPI, accept: str) -> None:
    @site.get("/broken/{token}")
    async def broken(token: str) -> Response:
        raise ValueError("something of ours is wrong")

    async with client_of(site) as client:
        with capture_logs() as lines:
            answer = await client.get("/broken/a-mailed-token", headers={"Accept": accept})
    assert answer.status_code == 500 and "something of ours" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    (line,) = [line for line in lines if line["event"] == "request.failed"]
    assert line["route"] == "/broken/{token}" and "a-mailed-token" not in str(line)
    assert answer.headers["x-request-id"]
