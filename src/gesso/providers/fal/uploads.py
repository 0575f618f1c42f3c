"""Reference pictures on their way in: small ones inside the request, larger ones to fal's file store.

First the store's own path (a short-lived token, then the bytes), as fal_client 1.0.3 does; where no token is to
be had, the signed-URL path of the JavaScript client. Multipart is for files above 90 MB: models take 50.
Nothing here is billed, so a failure means that nothing was submitted.
"""

import asyncio
import base64
from datetime import datetime, timedelta

from gesso.core.clock import Clock
from gesso.core.fetch import FetchError, FetchFailed, SafeFetcher
from gesso.providers.base import InputFile
from gesso.providers.errors import Misconfigured, ProviderError, Rejected, Unavailable
from gesso.providers.fal.client import FalClient
from gesso.providers.fal.failures import classify
from gesso.providers.http import Answer, NoAnswer, UntrustedUrl

INLINE_MAX_BYTES = 256 * 1024
INPUT_MAX_BYTES = 50 * 2**20
UPLOAD_SECONDS = 120.0
_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/gif": "gif", "video/mp4": "mp4"}


class Uploads:
    """Turns input files into URLs that a model can read."""

    def __init__(self, client: FalClient, fetcher: SafeFetcher, clock: Clock, lifecycle: str) -> None:
        """`lifecycle` is the JSON that limits how long fal keeps an upload."""
        self._client = client
        self._fetcher = fetcher
        self._clock = clock
        self._lifecycle = lifecycle
        self._token: tuple[str, datetime] | None = None
        self._lock = asyncio.Lock()

    async def urls(self, files: tuple[InputFile, ...]) -> list[str]:
        """One URL per file, in order. Raises ProviderError; nothing was submitted then."""
        return [await self._url(file) for file in files]

    async def _url(self, file: InputFile) -> str:
        if len(file.data) > INPUT_MAX_BYTES:
            raise Rejected("A reference picture is too large; 50 MB is the limit.", field="images")
        if len(file.data) <= INLINE_MAX_BYTES:
            return f"data:{file.media_type};base64,{base64.b64encode(file.data).decode()}"
        token = await self._upload_token()
        return await (self._send(file, token) if token else self._send_signed(file))

    async def _upload_token(self) -> str | None:
        """An Authorization value for the store, kept until a minute before it ends; None where there is none."""
        async with self._lock:
            if self._token is not None and self._token[1] > self._clock.now():
                return self._token[0]
            answer = await self._call(
                "POST", f"{self._client.hosts.rest}/storage/auth/token?storage_type=fal-cdn-v3", body={}
            )
            if answer.status in (401, 403, 429):
                raise classify(answer, self._client.mask)
            data = _object(answer)
            token, kind, ends = data.get("token"), data.get("token_type"), data.get("expires_at")
            if answer.status >= 300 or not isinstance(token, str) or not token.isascii():
                return None
            value = f"{kind if isinstance(kind, str) else 'Bearer'} {token}"
            self._token = (value, _ending(ends, self._clock.now()))
            return value

    async def _send(self, file: InputFile, token: str) -> str:
        headers = {
            "Authorization": token,
            "Content-Type": file.media_type,
            "X-Fal-File-Name": _name(file),
            "X-Fal-Object-Lifecycle": self._lifecycle,
        }
        url = f"{self._client.hosts.media}/files/upload"
        answer = await self._call("POST", url, data=file.data, headers=headers)
        if answer.status in (401, 403):
            self._token = None  # the store no longer takes the token; the next attempt asks for a new one
            raise Unavailable(note=f"The file store refused an upload token ({answer.status}).")
        return self._stored(answer, "access_url")

    async def _send_signed(self, file: InputFile) -> str:
        url = f"{self._client.hosts.rest}/storage/upload/initiate?storage_type=fal-cdn-v3"
        answer = await self._call("POST", url, body={"file_name": _name(file), "content_type": file.media_type})
        stored = self._stored(answer, "file_url")
        target = _object(answer).get("upload_url")
        if not isinstance(target, str):
            raise Unavailable(note="The file store named no upload URL.")
        try:
            await self._fetcher.put(target, file.data, media_type=file.media_type, timeout_seconds=UPLOAD_SECONDS)
        except FetchError as error:
            if isinstance(error, FetchFailed) and error.retryable:
                raise Unavailable(note=f"Upload: {error.reason}") from None
            raise Misconfigured("model", note=f"Upload: {error.reason}") from None
        return stored

    async def _call(self, method: str, url: str, **rest: object) -> Answer:
        try:
            return await self._client.call(method, url, seconds=UPLOAD_SECONDS, **rest)  # type: ignore[arg-type]
        except NoAnswer as error:
            raise error.while_asking("Upload") from None
        except UntrustedUrl:
            raise Misconfigured("model", note="The upload address is not the configured one.") from None

    def _stored(self, answer: Answer, name: str) -> str:
        """The https (or configured) URL under which the file now lies. Raises ProviderError."""
        if answer.status >= 300:
            error: ProviderError = classify(answer, self._client.mask)
            raise error
        url = _object(answer).get(name)
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            raise Unavailable(note="The file store did not say where the file is.")
        return url


def _object(answer: Answer) -> dict[str, object]:
    try:
        data = answer.json()
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _ending(told: object, now: datetime) -> datetime:
    """When to stop using a token: a minute before it ends; a token of unknown or odd life is used once."""
    try:
        ends = datetime.fromisoformat(told) if isinstance(told, str) else now
    except ValueError:
        return now
    return (ends if ends.tzinfo else ends.replace(tzinfo=now.tzinfo)) - timedelta(minutes=1)


def _name(file: InputFile) -> str:
    return f"reference.{_EXTENSIONS.get(file.media_type, 'bin')}"
