"""Passwords: what is accepted, and argon2id off the event loop.

Rules follow NIST SP 800-63B-4 §3.1.1.2: length counts, composition does not; what everybody tries first, and what
somebody who knows the person or the site tries next, is refused.
"""

import asyncio
import gzip
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from gesso.core.errors import Unavailable

MIN_LENGTH = 10
MAX_LENGTH = 200

# argon2-cffi's defaults (RFC 9106's low-memory profile): 64 MiB and about 0.1 s each. Two at a time bound what a
# burst of log-ins may take of memory and processor; threads of their own, so that nothing else waits behind them.
_hasher = PasswordHash((Argon2Hasher(time_cost=3, memory_cost=65536, parallelism=4),))
AT_ONCE = 2
WAITING = 100
"""Hashes under way or waiting in one process. At two per 0.1 s the last of them waits five seconds; more are told
to come back, instead of everybody waiting longer and longer."""
_threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
_under_way = 0

# Verified against when nobody has the address, so that the answer takes as long as for somebody.
# Its parameters are those above.
_DUMMY_HASH = "$argon2id$v=19$m=65536,t=3,p=4$Xs9v39nOjGSlLtp9ZuXE+g$GHC+6osR6lAdYMNjeiA+b1RlsXBvYzeCnUNGDHB3OFc"

_COMMON_FILE = Path(__file__).with_name("common_passwords.txt.gz")
_LEET = str.maketrans("@4301!57$", "aaeoiists")
_CORE = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_CORE_LENGTH = 4
"""Shorter words say nothing when padding is taken off: "abc" in front of 12 random digits is no common password."""
_WORD_LENGTH = 4
_OWN_LENGTH = 6
"""What must be left of a password without the words anybody would try first."""
Result = TypeVar("Result")


def password_problem(password: str, *, email: str = "", known: Iterable[str] = ()) -> str | None:
    """Why a new password is refused, as a sentence for the person, or None when it is fine.

    `known` are words that somebody who guesses would know: the person's name, the site's name and address.
    """
    if len(password) < MIN_LENGTH:
        return f"Use at least {MIN_LENGTH} characters."
    if len(password) > MAX_LENGTH:
        return f"Use at most {MAX_LENGTH} characters."
    if not _encodable(password):
        return "This contains characters that cannot be typed. Choose something else."
    plain = password.strip().lower()
    if _common(plain) or _pattern(plain):
        return "This is one of the first passwords anybody would try. Choose something else."
    if _personal(plain, [email, *known]):
        return "Your name, your e-mail address and this site's name are too easy to guess. Choose something else."
    return None


@cache
def _commonest() -> tuple[frozenset[str], frozenset[str]]:
    """The leaked passwords used most, and the words in them; read when the first password is chosen.

    20,000 in lower case, compiled from public leaks by Royce Williams and shipped by Django (BSD-3-Clause):
    https://gist.github.com/roycewilliams/226886fd01572964e1431ac8afc999ce, with some of ten characters and more.
    """
    passwords = frozenset(gzip.decompress(_COMMON_FILE.read_bytes()).decode().split("\n"))
    cores = frozenset(core for found in passwords if len(core := _CORE.sub("", found)) >= _CORE_LENGTH)
    return passwords, cores


def _common(plain: str) -> bool:
    """Whether it is a common password, or one with padding, punctuation or digits that look like letters."""
    passwords, cores = _commonest()
    squashed = re.sub(r"[\W_]", "", plain)
    spellings = {plain, squashed, plain.translate(_LEET), squashed.translate(_LEET)}
    return bool(spellings & passwords) or any(_CORE.sub("", spelling) in cores for spelling in spellings)


def _pattern(plain: str) -> bool:
    """Whether it is a few characters over and over, or a run such as 123456789."""
    squashed = re.sub(r"[\W_]", "", plain) or plain
    unit = squashed[: (squashed + squashed).find(squashed, 1)]
    repeated = len(unit) < len(squashed) and (len(unit) <= _WORD_LENGTH or _common(unit))
    steps = {ord(after) - ord(before) for before, after in pairwise(squashed)}
    return len(set(plain)) <= 2 or repeated or steps <= {1, -9} or steps <= {-1, 9}


def _personal(plain: str, known: Iterable[str]) -> bool:
    """Whether little is left of it without words that belong to the person or the site."""
    words: set[str] = set()
    for text in known:
        name, _, domain = text.lower().partition("@")
        for part in (name, domain):
            words |= {re.sub(r"[\W_]", "", part), *re.split(r"[\W_]+", part)}
    rest = squashed = re.sub(r"[\W_]", "", plain)
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= _WORD_LENGTH:
            rest = rest.replace(word, "")
    return rest != squashed and (len(re.sub(r"\d", "", rest)) < _OWN_LENGTH or _common(rest))


def _encodable(password: str) -> bool:
    """Whether it is text: a lone surrogate, which JSON can carry, is not."""
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return True


async def hash_password(password: str) -> str:
    """An argon2id hash, computed in a thread. Raises Unavailable when too many wait already."""
    return await _in_turn(partial(_hasher.hash, password))


async def verify_password(password: str, password_hash: str | None) -> tuple[bool, str | None]:
    """Whether the password is right, and a new hash when the stored one uses older parameters.

    Without a hash (nobody has the address) it takes the same time and is never right. Raises Unavailable when too
    many wait already.
    """
    if len(password) > MAX_LENGTH or not _encodable(password):
        password = ""  # cannot be anybody's; do not hash a megabyte for a stranger
    right, newer = await _in_turn(partial(_hasher.verify_and_update, password, password_hash or _DUMMY_HASH))
    return (right, newer) if password_hash is not None else (False, None)


async def _in_turn(work: Callable[[], Result]) -> Result:
    global _under_way
    if _under_way >= WAITING:
        raise Unavailable("Many people are signing in at this moment. Please try again in a few seconds.")
    _under_way += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads, work)
    finally:
        _under_way -= 1
