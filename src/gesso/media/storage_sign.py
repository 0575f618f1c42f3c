"""Signed addresses: whoever has one may read one object for a short while, straight from the store.

Signature Version 4 in the query, as S3 and those who speak it take it. The library's own signing knows no
`response-*` parameters, so the name and type of a download could not be told; hence ours. Source:
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html (tested against botocore's signer).
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from gesso.media.storage_open import Credentials, S3Place

SIGNED_SECONDS = 900
"""How long a signed address serves (semantics: Access)."""


class Signer:
    """Signs addresses of one bucket. `endpoint`: origin by which browsers reach it, when that is another."""

    def __init__(self, place: S3Place, credentials: Credentials, endpoint: str | None = None) -> None:
        self._place = place
        self._credentials = credentials
        self._address = place.address(endpoint)
        parts = urlsplit(self._address)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        """Where the addresses lead, for the page's content policy."""

    def url(self, key: str, now: datetime, answer: Mapping[str, str], *, seconds: int = SIGNED_SECONDS) -> str:
        """An address of `key` that serves GET from `now` for `seconds`.

        `answer`: headers the store shall answer with, such as `{"content-type": "image/png"}` (S3 knows
        cache-control, content-disposition, content-encoding, content-language, content-type and expires).
        """
        parts = urlsplit(self._address)
        path = "/".join(filter(None, (parts.path.strip("/"), _quoted(self._place.prefix), _quoted(key))))
        stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{stamp[:8]}/{self._place.region}/s3/aws4_request"
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{self._credentials.key_id}/{scope}",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": "host",
            **{f"response-{name}": value for name, value in answer.items()},
        }
        if self._credentials.token:
            query["X-Amz-Security-Token"] = self._credentials.token
        asked = "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(query.items()))
        request = f"GET\n/{path}\n{asked}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        return f"{self.origin}/{path}?{asked}&X-Amz-Signature={self._signature(scope, text)}"

    def _signature(self, scope: str, text: str) -> str:
        key = f"AWS4{self._credentials.secret}".encode()
        for part in (*scope.split("/"), text):
            key = hmac.digest(key, part.encode(), "sha256")
        return key.hex()


def _quoted(path: str) -> str:
    """As S3 wants it: every byte but letters, digits, `-._~` and the slashes between segments."""
    return quote(path, safe="/~")
