"""What a store's refusal means to whoever set it up: one sentence, naming what to look at, never a secret."""

import re

from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

from gesso.media.storage_open import Opened

_CODE = re.compile(r"<Code>(\w+)</Code>")
_KEYS = "GESSO_STORAGE_ACCESS_KEY_ID and GESSO_STORAGE_SECRET_ACCESS_KEY (or AWS_ACCESS_KEY_ID and its kin)"
_SAID = {
    "NoSuchBucket": "there is no such bucket. Look at GESSO_STORAGE_URL and GESSO_STORAGE_ENDPOINT.",
    "InvalidAccessKeyId": f"the key is not known there. Look at {_KEYS}.",
    "SignatureDoesNotMatch": f"the secret does not belong to the key. Look at {_KEYS}.",
    "ExpiredToken": "the temporary credentials have expired. Look at GESSO_STORAGE_SESSION_TOKEN.",
    "InvalidToken": "the session token is not valid. Look at GESSO_STORAGE_SESSION_TOKEN.",
    "RequestTimeTooSkewed": "this machine's clock is wrong.",
    "AuthorizationHeaderMalformed": "the bucket is in another region. Look at GESSO_STORAGE_REGION.",
    "PermanentRedirect": "the bucket is in another region. Look at GESSO_STORAGE_REGION.",
    "IllegalLocationConstraintException": "the bucket is in another region. Look at GESSO_STORAGE_REGION.",
    "AccessDenied": "the key may not write and read there. docs/storage.md lists the rights it needs.",
}
"""S3's own error codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""


def refusal_of(error: BaseException | None, opened: Opened) -> str | None:
    """The sentence for a failure that will not go away by waiting; None for one that may, or that is unknown."""
    told = _CODE.search(str(error))
    said = _SAID.get(told[1]) if told else None
    if said is None and isinstance(error, PermissionDeniedError | UnauthenticatedError):
        said = f"it refuses the credentials. Look at {_KEYS}." if opened.s3 else "it refuses the credentials."
    if said is None and isinstance(error, PermissionError):
        said = "the folder may not be written to by this user."
    return f"The file store {opened.name} cannot be used: {said}" if said else None
