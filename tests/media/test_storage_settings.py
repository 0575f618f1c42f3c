"""What settings make of an S3 address, what cannot work, and what a bucket's refusal is called."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gesso.core.errors import Unavailable
from gesso.core.settings import Settings, SettingsError, SiteSettings, StorageSettings, load_settings, read_settings
from gesso.media.storage import Storage, redirect_origin
from gesso.media.storage_open import Credentials, s3_place
from tests.bucket import KEY, SECRET, Bucket, Proxy

AWS = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "B", "AWS_SESSION_TOKEN": "C"}


@pytest.fixture
async def proxy(moto: str) -> AsyncIterator[Proxy]:
    async with Proxy(moto).running() as running:
        yield running


@pytest.mark.parametrize(
    ("settings", "environment", "address"),
    [
        ({}, {}, "https://art.s3.us-east-1.amazonaws.com"),
        ({"region": "eu-west-1"}, {"AWS_REGION": "us-west-2"}, "https://art.s3.eu-west-1.amazonaws.com"),
        ({}, {"AWS_DEFAULT_REGION": "us-west-2"}, "https://art.s3.us-west-2.amazonaws.com"),
        ({"path_style": True}, {}, "https://s3.us-east-1.amazonaws.com/art"),
        ({"endpoint": "https://a.r2.example/"}, {}, "https://a.r2.example/art"),
        ({"endpoint": "https://a.r2.example", "path_style": False}, {}, "https://art.a.r2.example"),
        ({"endpoint": "https://art.a.r2.example", "path_style": False}, {}, "https://art.a.r2.example"),
        ({"endpoint": "https://ours.example"}, {"AWS_ENDPOINT_URL_S3": "https://theirs.example"}, "https://ours.example/art"),
        ({}, {"AWS_ENDPOINT_URL_S3": "https://s3.example", "AWS_ENDPOINT_URL": "https://x.example"}, "https://s3.example/art"),
        ({}, {"AWS_ENDPOINT_URL": "https://x.example"}, "https://x.example/art"),
    ],
)  # fmt: skip
def test_where_a_bucket_is(settings: dict[str, object], environment: dict[str, str], address: str) -> None:
    place = s3_place("s3://art/some%20where/", StorageSettings(**settings), environment)  # type: ignore[arg-type]
    assert (place.address(), place.bucket, place.prefix) == (address, "art", "some where")


def test_a_bucket_with_dots_stands_in_the_path() -> None:
    assert s3_place("s3://my.art", StorageSettings(), {}).address() == "https://s3.us-east-1.amazonaws.com/my.art"


def test_a_key_comes_whole_from_one_side() -> None:
    ours = StorageSettings(access_key_id="X", secret_access_key="Y")  # type: ignore[arg-type]
    assert s3_place("s3://art", ours, AWS).credentials == Credentials("X", "Y", None)
    assert s3_place("s3://art", StorageSettings(), AWS).credentials == Credentials("A", "B", "C")
    assert s3_place("s3://art", StorageSettings(), {}).credentials is None
    with pytest.raises(SettingsError, match="AWS_SECRET_ACCESS_KEY is missing"):
        s3_place("s3://art", StorageSettings(), {"AWS_ACCESS_KEY_ID": "A"})
    assert "Y" not in repr(s3_place("s3://art", ours, {}))


async def test_stray_variables_do_not_reach_the_wire(
    bucket: Bucket, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**AWS, "AWS_ENDPOINT_URL_S3": "https://elsewhere.invalid", "AWS_REGION": "us-gov-west-1",
                        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true"}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    await Bucket(proxy.url, bucket.name).storage().put("a", b"1")
    head = proxy.heads[0].decode()
    assert head.startswith(f"PUT /{bucket.name}/site%20one/%C3%BC/a HTTP/1.1")
    assert f"Credential={KEY}/" in head and "/eu-central-1/s3/" in head and "x-amz-security-token" not in head.lower()


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"GESSO_STORAGE_ENDPOINT": "r2.example"}, "GESSO_STORAGE_ENDPOINT"),
        ({"GESSO_STORAGE_ENDPOINT": "https://u:p@r2.example"}, "GESSO_STORAGE_ENDPOINT"),
        ({"GESSO_STORAGE_ENDPOINT": "http://r2.example"}, "GESSO_STORAGE_ALLOW_HTTP"),
        ({"GESSO_STORAGE_ACCESS_KEY_ID": "k"}, "GESSO_STORAGE_SECRET_ACCESS_KEY is missing"),
        ({"GESSO_STORAGE_SECRET_ACCESS_KEY": "hush"}, "GESSO_STORAGE_ACCESS_KEY_ID is missing"),
        ({"GESSO_STORAGE_PATH_STYLE": "perhaps"}, "GESSO_STORAGE_PATH_STYLE"),
        ({"GESSO_STORAGE_REGION": "eu west"}, "GESSO_STORAGE_REGION"),
        ({"GESSO_STORAGE_TIMEOUT_SECONDS": "0"}, "GESSO_STORAGE_TIMEOUT_SECONDS"),
    ],
)
def test_what_cannot_work_stops_the_start(
    environment: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GESSO_DATA_DIR", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=named) as refused:
        load_settings()
    assert "hush" not in str(refused.value) and ":p@" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "environment", "named"),
    [
        ("s3://key:hush@bucket", {}, "GESSO_STORAGE_URL must not hold credentials"),
        ("s3:///prefix", {}, "GESSO_STORAGE_URL must look like"),
        ("s3://bucket", {"AWS_ENDPOINT_URL": "http://minio:9000"}, "AWS_ENDPOINT_URL is a plain http"),
    ],
)
def test_addresses_that_cannot_work(
    url: str, environment: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=named) as refused:
        Storage.from_url(url, read_settings(StorageSettings))
    assert "hush" not in str(refused.value)


async def test_a_refusal_is_told_in_words_and_an_outage_is_none(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    assert await bucket.storage().refusal() is None
    missing = await Bucket(bucket.endpoint, "nowhere").storage().refusal()
    assert missing is not None and "no such bucket" in missing and "GESSO_STORAGE_URL" in missing
    through = Bucket(proxy.url, bucket.name)
    proxy.mode = "denied"
    denied = await through.storage().refusal()
    assert denied is not None and "GESSO_STORAGE_SECRET_ACCESS_KEY" in denied and SECRET not in denied
    for mode in ("refuse", "hang", "busy", "broken"):
        proxy.mode = mode  # type: ignore[assignment]
        assert await through.storage(timeout_seconds=0.3).refusal() is None
    assert await Storage.from_url(str(tmp_path)).refusal() is None


@pytest.mark.parametrize("url", ["memory://", "gs://bucket"])
def test_a_redirect_needs_a_store_that_can_sign(url: str, tmp_path: Path) -> None:
    site = SiteSettings(env="test", data_dir=tmp_path)
    with pytest.raises(SettingsError, match="GESSO_STORAGE_REDIRECT"):
        redirect_origin(Settings(site=site, storage=StorageSettings(url=url, redirect="originals")))
    assert redirect_origin(Settings(site=site, storage=StorageSettings(url=url))) is None


async def test_a_hang_is_waited_for_once_whatever_is_asked(bucket: Bucket, proxy: Proxy) -> None:
    store = Bucket(proxy.url, bucket.name).storage(timeout_seconds=1)
    proxy.mode = "hang"

    async def list_all() -> None:
        async for _ in store.batches():
            raise AssertionError

    asked = (
        store.get("a"),
        store.head("a"),
        store.put("a", b"1"),
        store.delete(["a"]),
        store.stream("a"),
        store.check(),
    )
    begun = time.monotonic()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * len(asked)
    assert time.monotonic() - begun < 3  # each by itself is tried four times by the library, for more than four seconds
    with pytest.raises(Unavailable):
        await list_all()
