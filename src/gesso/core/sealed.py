"""Secrets at rest: sealed values for what we must read again, hashes for what we only compare."""

import hashlib
import os
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_ID_BYTES = 4
_NONCE_BYTES = 12


class SealBroken(Exception):
    """The value was sealed with another key, for another context, or was changed."""


def derive_key(secret: str, purpose: str) -> bytes:
    """A 32-byte key for one purpose from the site's secret (HKDF-SHA256, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret.encode())


class Sealer:
    """AES-256-GCM with a key id in front, so that a key can be replaced while old values stay readable.

    `context` binds a value to its place ("connection:fal"): moved elsewhere it does not open.
    """

    def __init__(self, secret: str, *older_secrets: str) -> None:
        keys = [derive_key(value, "gesso/seal/v1") for value in (secret, *older_secrets)]
        self._current = keys[0]
        self._keys = {self._key_id(key): key for key in keys}

    @staticmethod
    def _key_id(key: bytes) -> bytes:
        return hashlib.sha256(b"gesso/key-id" + key).digest()[:_KEY_ID_BYTES]

    @staticmethod
    def sealed_under(sealed: bytes) -> str:
        """The id of the key that a value needs, as hex."""
        return sealed[:_KEY_ID_BYTES].hex()

    def seal(self, value: bytes, context: str) -> bytes:
        """key id (4 bytes) + nonce (12) + ciphertext and tag."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._current).encrypt(nonce, value, context.encode())
        return self._key_id(self._current) + nonce + sealed

    def open(self, sealed: bytes, context: str) -> bytes:
        """The value. Raises SealBroken, whose text never holds any part of it."""
        key = self._keys.get(sealed[:_KEY_ID_BYTES])
        if key is None:
            raise SealBroken("sealed with a key this site does not have")
        nonce = sealed[_KEY_ID_BYTES : _KEY_ID_BYTES + _NONCE_BYTES]
        try:
            return AESGCM(key).decrypt(nonce, sealed[_KEY_ID_BYTES + _NONCE_BYTES :], context.encode())
        except InvalidTag:
            raise SealBroken("the sealed value was changed or belongs elsewhere") from None

    def key_id(self) -> str:
        """Which key seals now, as hex: for showing and for finding what still needs rotation."""
        return self._key_id(self._current).hex()

    def key_ids(self) -> tuple[str, ...]:
        """All keys that open, as hex; the one that seals comes first."""
        return tuple(key_id.hex() for key_id in self._keys)


def token() -> str:
    """A new bearer secret: 256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)


def hash_token(value: str) -> bytes:
    """What we store of a bearer secret. Plain SHA-256 is enough: the input has 256 bits of randomness."""
    return hashlib.sha256(value.encode()).digest()
