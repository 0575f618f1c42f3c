"""Reference pictures on their way in: to kie.ai's file store, because models read from addresses alone.

Free, and removed there after three days. Names are random: a repeated one would overwrite, and might be served stale.
Nothing here is billed, so a failure means that nothing was submitted.
"""

import secrets

from gesso.providers.base import InputFile
from gesso.providers.errors import Misconfigured, Unavailable
from gesso.providers.http import NoAnswer, UntrustedUrl
from gesso.providers.kie import wire
from gesso.providers.kie.client import KieClient
from gesso.providers.kie.failures import classify

UPLOAD_SECONDS = 120.0
_FOLDER = "references"
_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/gif": "gif"}


async def url_of(client: KieClient, file: InputFile) -> str:
    """The address under which a model can read the file. Raises ProviderError; nothing was submitted then."""
    name = f"{secrets.token_hex(16)}.{_EXTENSIONS.get(file.media_type, 'bin')}"
    try:
        answer = await client.call(
            "POST", f"{client.uploads}/api/file-stream-upload", form={"uploadPath": _FOLDER, "fileName": name},
            files=[("file", (name, file.data, file.media_type))], seconds=UPLOAD_SECONDS,
        )  # fmt: skip
    except NoAnswer as error:
        raise error.while_asking("Upload") from None
    except UntrustedUrl:
        raise Misconfigured("model", note="The upload address is not the configured one.") from None
    told = wire.envelope(answer.status, answer.data())
    if not told.ok:
        raise classify(told, answer.headers, client.mask)
    url = wire.upload_url(told.data)
    if url is None:
        raise Unavailable(note="The file store did not say where the file is.")
    return url
