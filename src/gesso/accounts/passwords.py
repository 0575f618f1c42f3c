"""Passwords: what is accepted, and argon2id off the event loop.

Rules follow NIST SP 800-63B: length counts, composition does not; what everybody tries first is refused.
"""

import asyncio
import re
from pathlib import Path

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

MIN_LENGTH = 10
MAX_LENGTH = 200

# argon2-cffi's defaults (RFC 9106's low-memory profile): 64 MiB and about 0.1 s each. Two at a time bound
# what a burst of log-ins may take of memory and processor.
_hasher = PasswordHash((Argon2Hasher(time_cost=3, memory_cost=65536, parallelism=4),))
_slots = asyncio.Semaphore(2)

# Verified against when nobody has the address, so that the answer takes as long as for somebody.
# Its parameters are those above.
_DUMMY_HASH = "$argon2id$v=19$m=65536,t=3,p=4$Xs9v39nOjGSlLtp9ZuXE+g$GHC+6osR6lAdYMNjeiA+b1RlsXBvYzeCnUNGDHB3OFc"

# Those of the usual lists of leaked passwords that reach the minimum length; compared in lower case and
# without anything that is not a letter or digit.
_COMMON = frozenset(Path(__file__).with_name("common_passwords.txt").read_text().split())


def password_problem(password: str, *, email: str = "") -> str | None:
    """Why a new password is refused, as a sentence for the person, or None when it is fine."""
    if len(password) < MIN_LENGTH:
        return f"Use at least {MIN_LENGTH} characters."
    if len(password) > MAX_LENGTH:
        return f"Use at most {MAX_LENGTH} characters."
    if not _encodable(password):
        return "This contains characters that cannot be typed. Choose something else."
    plain = password.strip().lower()
    if email and plain in {email.lower(), email.lower().partition("@")[0]}:
        return "Your e-mail address is too easy to guess. Choose something else."
    if re.sub(r"[\W_]", "", plain) in _COMMON or len(set(plain)) <= 2:
        return "This is one of the first passwords anybody would try. Choose something else."
    return None


def _encodable(password: str) -> bool:
    """Whether it is text: a lone surrogate, which JSON can carry, is not."""
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return True


async def hash_password(password: str) -> str:
    """An argon2id hash, computed in a thread."""
    async with _slots:
        return await asyncio.to_thread(_hasher.hash, password)


async def verify_password(password: str, password_hash: str | None) -> tuple[bool, str | None]:
    """Whether the password is right, and a new hash when the stored one uses older parameters.

    Without a hash (nobody has the address) it takes the same time and is never right.
    """
    if len(password) > MAX_LENGTH or not _encodable(password):
        password = ""  # cannot be anybody's; do not hash a megabyte for a stranger
    async with _slots:
        right, newer = await asyncio.to_thread(_hasher.verify_and_update, password, password_hash or _DUMMY_HASH)
    return (right, newer) if password_hash is not None else (False, None)
