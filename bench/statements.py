"""The statements a submit really sends, taken from PostgreSQL's own log and turned into a pgbench script.

Two people submit one after the other while the server logs every statement with its parameters. What is equal in
both is a constant of the script; ids, keys and times become expressions over pgbench's random numbers, so that
each transaction is somebody else's. The notification after the commit, which web processes send in bundles, is
left out: it would only slow pgbench down.
"""

import asyncio
import re
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

import asyncpg

from bench.house import House, bench_id, token, token_hash
from bench.load import Line, post

REQUEST = {"model": "juggernaut-lightning", "prompt": "A lighthouse at dusk, long exposure, calm sea", "count": 1}
SUBMIT = "/api/generate/image"

_ENTRY = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ \S+ \[(\d+)\] (\w+):\s+(.*)", re.DOTALL)
_STATEMENT = re.compile(r"^(?:execute [^:]+|statement): (.*)", re.DOTALL)
_PARAMETER = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')", re.DOTALL)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SCOPE = re.compile(r"BEGIN; SET LOCAL gesso\.workspace = '(.*?)'; SET LOCAL gesso\.\"user\" = '(.*?)'")


@dataclass(frozen=True, slots=True)
class Sent:
    """A statement with the text of its parameters (None = NULL)."""

    sql: str
    parameters: tuple[str | None, ...]


@dataclass
class Script:
    """A pgbench script and the constants it is started with (-D)."""

    text: str
    constants: dict[str, str] = field(default_factory=dict)
    statements: int = 0


async def capture(house: House, port: int) -> Script:
    """Submit as two people and make the script of what was sent. `port`: a warm web process."""
    await house.owner("ALTER SYSTEM SET log_statement = 'all'", "SELECT pg_reload_conf()")
    await asyncio.sleep(0.5)
    keys = [str(uuid4()), str(uuid4())]
    seen = [await _one(house, port, number, key) for number, key in zip((7, 8), keys, strict=True)]
    await house.owner("ALTER SYSTEM RESET log_statement", "SELECT pg_reload_conf()")
    await asyncio.sleep(0.5)
    first, second = seen
    if [sent.sql for sent in first if not _SCOPE.match(sent.sql)] != [s.sql for s in second if not _SCOPE.match(s.sql)]:
        raise RuntimeError("two submits sent different statements; something else was running")
    return await _script(house, first, second, keys[0])


async def _one(house: House, port: int, number: int, key: str) -> list[Sent]:
    log = house.server.folder / "server.log"
    before = log.stat().st_size
    async with Line.opened(port) as line:
        reply = await line.send(post(SUBMIT, token(number), REQUEST, key))
    if reply.status != 202:
        raise RuntimeError(f"the submit was answered {reply.status}: {reply.body[:300]!r}")
    await asyncio.sleep(0.5)
    with log.open("rb") as file:
        file.seek(before)
        return _read(file.read().decode(errors="replace"))


def _read(text: str) -> list[Sent]:
    """The statements in a piece of the server's log, without notifications and the log's own business."""
    entries: list[list[str]] = []
    for line in text.splitlines():
        if _ENTRY.match(line):
            entries.append([line])
        elif entries:
            entries[-1].append(line.removeprefix("\t"))
    found: list[Sent] = []
    for entry in entries:
        match = _ENTRY.match("\n".join(entry))
        assert match is not None
        kind, rest = match[2], match[3]
        if kind == "LOG" and (statement := _STATEMENT.match(rest)):
            found.append(Sent(statement[1].strip().rstrip(";"), ()))
        elif kind == "DETAIL" and rest.lower().startswith("parameters:") and found:
            values = tuple(
                None if value == "NULL" else value[1:-1].replace("''", "'") for _, value in _PARAMETER.findall(rest)
            )
            found[-1] = Sent(found[-1].sql, values)
    return [sent for sent in found if "pg_notify" not in sent.sql and "pg_reload_conf" not in sent.sql]


async def _script(house: House, first: list[Sent], second: list[Sent], key: str) -> Script:
    common = {match for sent in second for value in sent.parameters if value for match in _UUID.findall(_plain(value))}
    names: dict[str, str] = {
        str(bench_id(1, 7)): "bench_id(1, :n)",
        str(bench_id(2, 7)): "bench_id(2, :n)",
        str(bench_id(3, 7)): "bench_id(3, :n)",
        key: "bench_id(5, :g)",
        f"\\x{token_hash(7).hex()}": "sha256(('bench' || lpad(:n::text, 38, '0'))::bytea)",
    }
    for sent in first:
        for value in sent.parameters:
            for found in _UUID.findall(_plain(value or "")):
                if found not in names and found not in common:
                    names[found] = f"bench_id({len(names) + 1}, :g)"
    writer = _Writer(names)
    connection = await asyncpg.connect(house.app_url)
    try:
        for sent in first:
            await writer.add(connection, sent)
    finally:
        await connection.close()
    return writer.done()


def _plain(value: str) -> str:
    """bytea in the log as the text it holds, so that ids inside a payload are found."""
    if value.startswith("\\x"):
        try:
            return bytes.fromhex(value[2:]).decode()
        except ValueError:
            return value
    return value


class _Writer:
    """Writes the script, statement by statement."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names
        self._split = re.compile("(" + "|".join(re.escape(name) for name in names) + ")")
        self._constants: dict[str, str] = {}
        self._moment: datetime | None = None
        self._lines = [r"\set n random(1, :people)", r"\set i :i + 1", r"\set g :base + :i * 64 + :client_id"]
        self._count = 0

    async def add(self, connection: asyncpg.Connection, sent: Sent) -> None:
        scope = _SCOPE.match(sent.sql)
        if scope:  # one round trip there, one round trip here
            workspace, user = (self._text(part) for part in scope.groups())
            self._lines += [
                r"\startpipeline", "BEGIN;",
                f"SELECT set_config('gesso.workspace', {workspace}, true), set_config('gesso.user', {user}, true);",
                r"\endpipeline",
            ]  # fmt: skip
        elif sent.parameters:
            prepared = await connection.prepare(sent.sql)
            types = [parameter.name for parameter in prepared.get_parameters()]
            values = [self._value(value, name) for value, name in zip(sent.parameters, types, strict=True)]
            self._lines.append(re.sub(r"\$(\d+)", lambda match: values[int(match[1]) - 1], sent.sql) + ";")
        else:
            self._lines.append(f"{sent.sql};")
        self._count += 1

    def done(self) -> Script:
        return Script("\n".join(self._lines) + "\n", self._constants, self._count)

    def _text(self, value: str) -> str:
        return f"{self._names[value]}::text" if value else "''"

    def _value(self, value: str | None, kind: str) -> str:
        if value is None:
            return f"NULL::{kind}"
        if kind == "timestamptz":
            return self._time(value)
        if value in self._names:
            return f"{self._names[value]}::{kind}"
        plain = _plain(value) if kind == "bytea" else value
        parts = [part for part in self._split.split(plain) if part]
        if len(parts) == 1 and parts[0] not in self._names:
            return f"{self._constant(value)}::{kind}"
        joined = " || ".join(
            f"{self._names[part]}::text" if part in self._names else f"{self._constant(part)}::text" for part in parts
        )
        return f"convert_to({joined}, 'UTF8')" if kind == "bytea" else f"({joined})::{kind}"

    def _time(self, value: str) -> str:
        moment = datetime.fromisoformat(value)
        self._moment = self._moment or moment
        return f"(now() + {round((moment - self._moment).total_seconds())} * interval '1 second')"

    def _constant(self, value: str) -> str:
        for name, known in self._constants.items():
            if known == value:
                return f":{name}"
        name = f"c{len(self._constants) + 1}"
        self._constants[name] = value
        return f":{name}"
