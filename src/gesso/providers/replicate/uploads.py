"""Pictures on their way in: small ones inside the request as data URIs, larger ones to Replicate's file store.

An upload stays there for a day (seen in recordings) and costs nothing, so a failure means that nothing was submitted.
"""

import base64

from gesso.providers.base import InputFile
from gesso.providers.errors import Misconfigured, Unavailable
from gesso.providers.http import NoAnswer, UntrustedUrl
from gesso.providers.replicate.client import ReplicateClient
from gesso.providers.replicate.failures import classify

INLINE_MAX_BYTES = 256_000
"""Of the whole data URI: what the documentation recommends."""
UPLOAD_SECONDS = 120.0
_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/gif": "gif", "video/mp4": "mp4"}


async def url_of(client: ReplicateClient, file: InputFile) -> str:
    """Something a model can read the file from. Raises ProviderError; nothing was submitted then."""
    if len(file.data) <= INLINE_MAX_BYTES * 3 // 4:
        uri = f"data:{file.media_type};base64,{base64.b64encode(file.data).decode()}"
        if len(uri) <= INLINE_MAX_BYTES:
            return uri
    name = f"reference.{_EXTENSIONS.get(file.media_type, 'bin')}"
    try:
        answer = await client.call(
            "POST", f"{client.base}/files", form={"filename": name, "type": file.media_type},
            files=[("content", (name, file.data, file.media_type))], seconds=UPLOAD_SECONDS,
        )  # fmt: skip
    except NoAnswer as error:
        raise error.while_asking("Upload") from None
    except UntrustedUrl:
        raise Misconfigured("model", note="The upload address is not the configured one.") from None
    if answer.status >= 300:
        raise classify(answer, client.mask)
    body = answer.data()
    urls = body.get("urls") if isinstance(body, dict) else None
    url = urls.get("get") if isinstance(urls, dict) else None
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise Unavailable(note="The file store did not say where the file is.")
    return url
