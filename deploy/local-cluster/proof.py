"""What must be true after all of it, asked of the rows, the bucket and the product's own commands."""

import asyncio
import time
from dataclasses import dataclass

import asyncpg
from cluster import Cluster
from parts import ClusterError
from visitors import Ear, Visitor

ENDED_SECONDS = 180.0
HEARD_SECONDS = 60.0

_FACTS = """
SELECT (SELECT count(*) FROM generation) AS generations,
       (SELECT count(*) FROM generation WHERE state NOT IN ('succeeded', 'failed', 'cancelled')) AS open,
       (SELECT count(*) FROM generation WHERE state <> 'succeeded') AS unsuccessful,
       (SELECT count(*) FROM asset WHERE source = 'generated') AS pictures,
       (SELECT count(*) FROM output WHERE state = 'delivered') AS delivered,
       (SELECT count(*) FROM (SELECT DISTINCT hold_id, output_index FROM credit_journal WHERE kind = 'capture') c)
           AS charges,
       (SELECT count(*) FROM credit_hold WHERE state = 'open') AS holds,
       (SELECT count(*) FROM pgqueuer WHERE entrypoint LIKE 'generation%') AS jobs,
       (SELECT count(*) FROM attempt WHERE state = 'uncertain') AS uncertain
"""
_LAST_EVENTS = "SELECT workspace_id::text, generation_id::text, max(id) AS last FROM generation_event GROUP BY 1, 2"


@dataclass(frozen=True, slots=True)
class Proof:
    """One line: what was looked at, what was found, and whether it is as it must be."""

    what: str
    found: str
    right: bool


async def until_ended(cluster: Cluster) -> float:
    """Wait until every generation has its end. Returns the seconds; the proofs say when it never came."""
    begun = time.monotonic()
    connection = await asyncpg.connect(cluster.owner_url)
    try:
        while time.monotonic() < begun + ENDED_SECONDS:
            facts = await connection.fetchrow(_FACTS)
            if not facts["open"] and not facts["jobs"]:
                break
            await asyncio.sleep(0.3)
    finally:
        await connection.close()
    return time.monotonic() - begun


async def until_heard(cluster: Cluster, ears: list[Ear]) -> None:
    """Wait until every stream has told every last event, also one that is just opened again; the proofs say which
    never came."""
    deadline = time.monotonic() + HEARD_SECONDS
    connection = await asyncpg.connect(cluster.owner_url)
    try:
        while time.monotonic() < deadline:
            if not _missed(ears, await connection.fetch(_LAST_EVENTS)):
                break
            await asyncio.sleep(0.3)
    finally:
        await connection.close()


async def prove(cluster: Cluster, visitors: list[Visitor], ears: list[Ear], *, killed: bool) -> list[Proof]:
    """Everything that could have been lost. `killed`: a worker was killed, so an uncertain call may have failed."""
    connection = await asyncpg.connect(cluster.owner_url)
    try:
        facts = await connection.fetchrow(_FACTS)
        asked = [generation for visitor in visitors for generation in visitor.asked]
        known = await connection.fetchval("SELECT count(*) FROM generation WHERE id = ANY($1::uuid[])", asked)
        told = await connection.fetch(_LAST_EVENTS)
    finally:
        await connection.close()
    unsuccessful = facts["unsuccessful"]
    allowed = facts["uncertain"] if killed else 0
    return [
        Proof("generations answered with 202 that exist", f"{known} of {len(asked)}", known == len(asked)),
        Proof("generations in all, without an end", f"{facts['generations']}, {facts['open']}", facts["open"] == 0),
        Proof(
            "generations that did not succeed (after a kill: uncertain calls)",
            f"{unsuccessful} ({facts['uncertain']} uncertain)", unsuccessful <= allowed,
        ),
        Proof("jobs left in the queue", str(facts["jobs"]), facts["jobs"] == 0),
        Proof(
            "pictures, delivered outputs, charges",
            f"{facts['pictures']}, {facts['delivered']}, {facts['charges']}",
            facts["pictures"] == facts["delivered"] == facts["charges"] > 0,
        ),
        Proof("holds left open", str(facts["holds"]), facts["holds"] == 0),
        await _ledger(cluster),
        await _pictures(visitors),
        *_streams(ears, told),
    ]  # fmt: skip


async def _ledger(cluster: Cluster) -> Proof:
    try:
        await cluster.run("ledger", "verify")
    except ClusterError as error:
        return Proof("gesso ledger verify", str(error).splitlines()[-1], False)
    return Proof("gesso ledger verify", "every balance follows from the journal", True)


async def _pictures(visitors: list[Visitor]) -> Proof:
    """Every picture and upload of everybody, fetched whole through nginx from the bucket."""
    found = bad = 0
    for visitor in visitors:
        url: str | None = "/api/media?limit=100&source=all"
        while url:
            page = (await visitor.http.get(url)).json()
            for item in page["items"]:
                answer = await visitor.http.get(item["url"])
                found += 1
                bad += answer.status_code != 200 or len(answer.content) != item["size_bytes"]
            url = page["next"] and f"/api/media?limit=100&source=all&cursor={page['next']}"
    return Proof("files that can be fetched from the bucket", f"{found - bad} of {found}", bad == 0)


def _missed(ears: list[Ear], told: list[asyncpg.Record]) -> int:
    missed = 0
    for ear in ears:
        for row in told:
            if row["workspace_id"] == ear.visitor.workspace_id and row["last"] > ear.first_id:
                missed += ear.heard.get(row["generation_id"], 0) < row["last"]
    return missed


def _streams(ears: list[Ear], told: list[asyncpg.Record]) -> list[Proof]:
    missed = _missed(ears, told)
    events = sum(len(ear.heard) for ear in ears)
    reopened = sum(ear.reopened for ear in ears)
    return [
        Proof("event streams, opened again", f"{len(ears)}, {reopened}", reopened >= len(ears) / 2),
        Proof("generations whose last event a stream missed", f"{missed} of {events}", missed == 0),
    ]
