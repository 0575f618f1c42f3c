"""Signed addresses: as botocore signs, honoured by a bucket, and given only to those who may see the picture."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import botocore.auth
import httpx2
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from gesso.accounts.access import Actor
from gesso.core.clock import SystemClock
from gesso.db import Database
from gesso.media.service import Ingest, take_upload
from gesso.media.storage import redirect_origin
from gesso.media.storage_open import Credentials, S3Place
from gesso.media.storage_sign import Signer
from gesso.web.security import SecurityMiddleware
from tests.bucket import Bucket
from tests.cast import make_user, sign_in
from tests.media.conftest import media_app
from tests.media.pictures import picture

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
ANSWER = {"content-type": "image/png", "content-disposition": 'attachment; filename="fjord-at-dusk+1.png"'}
PLACES = {
    "path style, a prefix, a port": ("http://127.0.0.1:9000", True, "site one/ü"),
    "in the host name": ("https://a.r2.example", False, ""),
    "AWS itself": (None, False, "p"),
    "an address with a path": ("https://ref.example/storage/v1/s3", True, "p"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("token", [None, "to/k+en=="])
@pytest.mark.parametrize("key", ["w/2026/05/id/original", "odd b/ü+~*'(1)%2F&=?#.png"])
def test_the_signature_is_botocore_s(place: str, token: str | None, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint, path_style, prefix = PLACES[place]
    credentials = Credentials("AKIA", "se/cr+et", token)
    signer = Signer(S3Place("bucket", prefix, "eu-west-1", endpoint, path_style, credentials), credentials)
    ours = signer.url(key, NOW, ANSWER, seconds=600)

    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None))
    asked = urlencode({f"response-{name}": value for name, value in ANSWER.items()}, quote_via=quote)
    theirs = AWSRequest("GET", f"{ours.partition('?')[0]}?{asked}")
    boto = BotoCredentials("AKIA", "se/cr+et", token)
    botocore.auth.S3SigV4QueryAuth(boto, "s3", "eu-west-1", expires=600).add_auth(theirs)
    assert dict(parse_qsl(urlsplit(ours).query)) == dict(parse_qsl(urlsplit(theirs.url).query))
    assert "se/cr" not in ours


def test_browsers_are_sent_to_the_public_address() -> None:
    credentials = Credentials("K", "S")
    place = S3Place("art", "p", "us-east-1", "http://minio:9000", True, credentials)
    signer = Signer(place, credentials, "https://files.example.com")
    assert signer.origin == "https://files.example.com"
    assert signer.url("k", NOW, {}).startswith("https://files.example.com/art/p/k?")


class Site:
    """The room's application on a bucket, with one picture of Ada's."""

    def __init__(self, db: Database, ingest: Ingest, bucket: Bucket, redirect: str) -> None:
        self.storage = bucket.storage()
        self.app = media_app(db, self.storage, ingest, SystemClock())
        settings = self.app.state.settings
        object.__setattr__(settings, "storage", bucket.settings(redirect=redirect))
        for middleware in self.app.user_middleware:
            if middleware.cls is SecurityMiddleware:
                middleware.kwargs["files_origin"] = redirect_origin(settings)

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.app), base_url="http://gesso.test")


@pytest.fixture
async def ada(db: Database) -> Actor:
    return await make_user(db, "Ada Kovac")


@pytest.fixture
async def elsewhere() -> AsyncIterator[httpx2.AsyncClient]:
    """A browser's connection to the bucket: without our cookies."""
    async with httpx2.AsyncClient() as client:
        yield client


async def test_files_come_from_the_bucket(
    db: Database, ada: Actor, ingest: Ingest, bucket: Bucket, elsewhere: httpx2.AsyncClient
) -> None:
    site = Site(db, ingest, bucket, "originals")
    asset = await take_upload(
        db, site.storage, ingest, workspace_id=ada.workspace_id, user_id=ada.user_id,
        data=picture(900, 600), declared_type="image/png",
    )  # fmt: skip
    stored = await site.storage.get(asset.storage_key)
    path = f"/media/{asset.id}/original"
    async with site.client() as client:
        assert (await client.get(path, headers={"Accept": "application/json"})).status_code == 401
        await sign_in(client, db, ada)
        sent = await client.get(path)
        assert (sent.status_code, sent.content, sent.headers["cache-control"]) == (302, b"", "private, max-age=600")
        assert "etag" not in sent.headers and "content-disposition" not in sent.headers
        got = await elsewhere.get(sent.headers["location"])
        assert (got.status_code, got.content, got.headers["content-type"]) == (200, stored, asset.media_type)
        assert got.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert got.headers["content-disposition"].startswith("inline; ")
        part = await elsewhere.get(sent.headers["location"], headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, stored[10:20])
        download = await elsewhere.get((await client.get(f"{path}?download=1")).headers["location"])
        assert download.headers["content-disposition"].startswith('attachment; filename="upload-')

        head = await client.head(path)  # a signature for GET does not serve HEAD
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(stored)))
        known = await client.get(path, headers={"If-None-Match": head.headers["etag"]})
        assert known.status_code == 304
        small = await client.get(f"/media/{asset.id}/320")
        assert (small.status_code, small.headers["content-type"]) == (200, "image/webp")
        policy = (await client.get("/api/media")).headers["content-security-policy"]
        assert f"img-src 'self' {bucket.endpoint} data: blob:" in policy
        assert f"media-src 'self' {bucket.endpoint} blob:" in policy and policy.count(bucket.endpoint) == 2
    async with site.client() as client:
        await sign_in(client, db, await make_user(db, "Cleo"))
        assert (await client.get(path)).status_code == 404


async def test_thumbnails_too_or_nothing_at_all(
    db: Database, ada: Actor, ingest: Ingest, bucket: Bucket, elsewhere: httpx2.AsyncClient
) -> None:
    every, none = Site(db, ingest, bucket, "all"), Site(db, ingest, bucket, "none")
    asset = await take_upload(
        db, every.storage, ingest, workspace_id=ada.workspace_id, user_id=ada.user_id,
        data=picture(900, 600), declared_type="image/png",
    )  # fmt: skip
    async with every.client() as client:
        await sign_in(client, db, ada)
        sent = await client.get(f"/media/{asset.id}/320")
        got = await elsewhere.get(sent.headers["location"])
        assert (sent.status_code, got.headers["content-type"], got.content[:4]) == (302, "image/webp", b"RIFF")
    async with none.client() as client:
        await sign_in(client, db, ada)
        answer = await client.get(f"/media/{asset.id}/original")
        policy = (await client.get("/api/media")).headers["content-security-policy"]
        assert answer.status_code == 200 and bucket.endpoint not in policy
