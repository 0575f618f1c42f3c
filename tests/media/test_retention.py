"""Plans keep what is made for so long: told of before, binned by night, gone for good two days later; by a clock that
walks through months."""

import asyncio
import os
import socket
import subprocess
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from gesso.core.clock import FixedClock
from gesso.core.errors import Unavailable
from gesso.db import Database, ElevatedSession
from gesso.jobs import Later
from gesso.media import deletions, keeping, missing, repository, retention, tasks
from gesso.media.deletions import Count
from gesso.media.models import Going, Known, first_id
from gesso.media.storage import Storage
from gesso.media.telling import TASK
from gesso.media.terms import Keeping, Terms
from tests.cast import make_user
from tests.conftest import SECRET
from tests.media.conftest import PLANS, NewClient
from tests.media.nights import (
    BEGIN,
    GESSO,
    OTHERS,
    made,
    mails,
    nights,
    on,
    report,
    seen,
    stored,
    tell,
    teller,
)
from tests.media.pictures import add, id_at, row
from tests.product import seeded, settings_for


async def test_each_plan_keeps_what_is_made_as_long_as_it_says(fresh_db: Database, storage: Storage) -> None:
    clock = FixedClock(BEGIN)
    ada, bob, cy = [await make_user(fresh_db, name) for name in ("Ada", "Bob", "Cy")]
    for actor, plan in ((ada, "month"), (bob, "year"), (cy, "free")):
        await on(fresh_db, actor, plan)
    hers = [*await made(fresh_db, storage, ada, BEGIN), *await made(fresh_db, storage, ada, BEGIN, prompt="loved")]
    async with fresh_db.workspace(ada.workspace_id, ada.user_id) as tx:
        await repository.favourite(tx, [hers[1].id], True)
    upload = await made(fresh_db, storage, ada, BEGIN, source="upload")
    async with fresh_db.workspace(ada.workspace_id, ada.user_id) as tx:
        await repository.mark_used(tx, [upload[0].id], BEGIN)
    later = await made(fresh_db, storage, ada, BEGIN + timedelta(days=10))
    his, its = await made(fresh_db, storage, bob, BEGIN), await made(fresh_db, storage, cy, BEGIN)

    await nights(fresh_db, storage, clock, 30)
    assert await seen(fresh_db, ada, hers) == 2
    await nights(fresh_db, storage, clock, 1)  # the first night on which they are older than 30 days
    assert await seen(fresh_db, ada, [*hers, *upload, *later]) == 2
    assert await stored(storage, hers) == 8, "in the bin"
    await nights(fresh_db, storage, clock, 3)
    assert await stored(storage, hers) == 0
    assert await report(fresh_db) == {
        "retention": Count(pictures=2, files=8, bytes=sum(asset.size_bytes for asset in hers))
    }
    async with fresh_db.elevated("test") as tx:
        assert await tx.fetchval("SELECT count(*) FROM asset WHERE id = ANY($1)", [one.id for one in hers]) == 0
    clock.advance(timedelta(days=320))
    await nights(fresh_db, storage, clock, 4)
    assert (await seen(fresh_db, bob, his), await seen(fresh_db, cy, its)) == (1, 1)
    clock.advance(timedelta(days=14))
    await nights(fresh_db, storage, clock, 4)
    assert (await stored(storage, his), await stored(storage, its), await stored(storage, upload)) == (0, 4, 4)
    assert (await report(fresh_db))["retention"].pictures == 4


async def test_an_upgrade_on_the_day_after_brings_it_back_and_one_before_saves_it(
    fresh_db: Database, storage: Storage
) -> None:
    clock = FixedClock(BEGIN)
    ada, bob = await make_user(fresh_db, "Ada"), await make_user(fresh_db, "Bob")
    for actor in (ada, bob):
        await on(fresh_db, actor, "month")
    hers, his = await made(fresh_db, storage, ada, BEGIN), await made(fresh_db, storage, bob, BEGIN)
    await nights(fresh_db, storage, clock, 30)
    await on(fresh_db, bob, "year")
    await nights(fresh_db, storage, clock, 1)
    assert (await seen(fresh_db, ada, hers), await seen(fresh_db, bob, his)) == (0, 1)
    await on(fresh_db, ada, "year")
    await nights(fresh_db, storage, clock, 5)
    assert (await seen(fresh_db, ada, hers), await stored(storage, hers)) == (1, 4)


async def test_a_stricter_plan_takes_nothing_away_for_a_week_and_says_what_will_go(
    fresh_db: Database, storage: Storage
) -> None:
    clock = FixedClock(BEGIN)
    ada = await make_user(fresh_db)
    await on(fresh_db, ada, "free")
    old = await made(fresh_db, storage, ada, BEGIN - timedelta(days=300), 2)
    await nights(fresh_db, storage, clock, 2)
    await on(fresh_db, ada, "month")
    await nights(fresh_db, storage, clock, 7)
    assert await seen(fresh_db, ada, old) == 2
    async with fresh_db.workspace(ada.workspace_id, ada.user_id) as tx:
        known = await repository.known_term(tx)
        _, going = await repository.stored(tx, keeping.going_below(PLANS("month"), clock.now()))
    told = BEGIN + timedelta(days=3)
    below = first_id(told + timedelta(days=15 - 30))
    assert known == Known(30, told, told, below) and going == Going(2, known)
    term = Keeping.of(PLANS("month"), known, clock.now())
    assert term is not None and term.until(old[0]) == BEGIN + timedelta(days=10)
    await nights(fresh_db, storage, clock, 1)
    assert await seen(fresh_db, ada, old) == 0
    await on(fresh_db, ada, "free")  # kept for good again: the next stricter plan has to tell anew
    await nights(fresh_db, storage, clock, 1)
    assert await seen(fresh_db, ada, old) == 2
    await on(fresh_db, ada, "month")
    await nights(fresh_db, storage, clock, 5)
    assert await seen(fresh_db, ada, old) == 2


async def test_admins_get_one_mail_a_week_at_most_and_nothing_goes_before_its_week_is_over(
    fresh_db: Database, storage: Storage
) -> None:
    clock = FixedClock(BEGIN)
    ada, bob = await make_user(fresh_db, "Ada"), await make_user(fresh_db, "Bob")
    await on(fresh_db, ada, "month")
    await on(fresh_db, bob, "year")
    async with fresh_db.elevated("test") as tx:
        for user, role in ((bob, "admin"), (await make_user(fresh_db, "Cy"), "member")):
            await tx.execute_raw(
                "INSERT INTO membership (workspace_id, user_id, role) VALUES ($1, $2, $3)",
                ada.workspace_id, user.user_id, role,
            )  # fmt: skip
    kept: dict[UUID, datetime] = {}
    for day in range(28):  # two pictures every other day, of which some go every other night from the 30th day on
        at = BEGIN + timedelta(days=day, hours=5)
        some = await made(fresh_db, storage, ada, at, 2) if day % 2 == 0 else []
        kept |= {one.id: at for one in some}
    written, told = list[datetime](), dict[UUID, datetime]()
    for _ in range(60):
        before = len(await mails(fresh_db))
        await nights(fresh_db, storage, clock, 1)
        async with fresh_db.workspace(ada.workspace_id, ada.user_id) as tx:
            left = set(await repository.by_ids(tx, list(kept)))
        for one in kept.keys() - left:
            assert told[one] + timedelta(days=7) <= clock.now() >= kept.pop(one) + timedelta(days=30)
        assert all(at + timedelta(days=32) > clock.now() for at in kept.values()), "not much longer than the plan says"
        if new := (await mails(fresh_db))[before:]:
            assert sorted(to for to, _, _ in new) == sorted([ada.email, bob.email]), "all admins, and nobody else"
            assert not written or clock.now() - written[-1] >= timedelta(days=7)
            written.append(clock.now())
            known = [one for one, at in kept.items() if at + timedelta(days=15) < clock.now()]
            told = {one: clock.now() for one in known} | told
    assert not kept and 3 <= len(written) <= 5
    _, subject, words = (await mails(fresh_db))[0]
    # the night of 24 January is the first from which a week and a night lead to what is 30 days old
    assert written[0] == BEGIN + timedelta(days=23)
    assert subject == "8 pictures will be deleted at gesso from 31 January 2026 on"
    assert "keeps what you make for 30 days" in words and "Favourites go, too." in words
    assert "Or move to Year, which keeps it longer: https://gesso.test/pricing" in words
    assert "https://gesso.test/gallery?to=2026-01-09" in words


async def test_nothing_goes_while_the_mail_cannot_leave(fresh_db: Database, storage: Storage) -> None:
    clock = FixedClock(BEGIN + timedelta(days=90))
    ada = await make_user(fresh_db)
    await on(fresh_db, ada, "month")
    hers = await made(fresh_db, storage, ada, BEGIN, 2)
    job = {"workspace_id": str(ada.workspace_id)}
    with socket.socket() as taken:  # nobody listens there
        taken.bind(("127.0.0.1", 0))
        for _ in range(10):
            clock.advance(timedelta(days=1))
            await tasks.run_night(fresh_db, storage, clock, UTC, OTHERS)
            with pytest.raises(Later):
                await teller(fresh_db, clock, smtp_url=f"smtp://127.0.0.1:{taken.getsockname()[1]}").run_job(job)
    async with fresh_db.elevated("test") as tx:
        queued = await tx.fetchval("SELECT count(*) FROM pgqueuer WHERE entrypoint = $1", TASK)
    assert (await seen(fresh_db, ada, hers), queued) == (2, 1)
    await tell(fresh_db, clock)
    await teller(fresh_db, clock).run_job(job)
    assert len(await mails(fresh_db)) == 1, "another worker had the same job"
    await nights(fresh_db, storage, clock, 6)
    assert await seen(fresh_db, ada, hers) == 2
    await nights(fresh_db, storage, clock, 1)
    assert (await seen(fresh_db, ada, hers), len(await mails(fresh_db))) == (0, 1)


async def test_a_term_that_changed_is_told_of_anew(fresh_db: Database, storage: Storage) -> None:
    clock = FixedClock(BEGIN + timedelta(days=30))
    ada = await make_user(fresh_db)
    await on(fresh_db, ada, "month")
    hers = await made(fresh_db, storage, ada, BEGIN, 1)
    await nights(fresh_db, storage, clock, 1)
    await on(fresh_db, ada, "year")
    await nights(fresh_db, storage, clock, 8)
    await on(fresh_db, ada, "month")  # it was told of, but of going under a term that ended
    await nights(fresh_db, storage, clock, 7)
    assert (await seen(fresh_db, ada, hers), len(await mails(fresh_db))) == (1, 2)
    await nights(fresh_db, storage, clock, 1)
    assert await seen(fresh_db, ada, hers) == 0


async def test_what_a_request_works_from_stays_until_it_has_ended(fresh_db: Database, storage: Storage) -> None:
    clock, busy = FixedClock(BEGIN + timedelta(days=60)), set[UUID]()

    async def in_use(tx: ElevatedSession, ids: Sequence[UUID]) -> set[UUID]:
        return busy & set(ids)

    ada = await make_user(fresh_db)
    await on(fresh_db, ada, "month")
    free, used, late = await made(fresh_db, storage, ada, BEGIN, 3)
    terms = await retention.terms_in_use(fresh_db, PLANS)
    busy.add(used.id)
    await retention.expire(fresh_db, terms, in_use, clock.now())
    await retention.tell(fresh_db, terms, clock.now())
    await tell(fresh_db, clock)
    clock.advance(timedelta(days=8))
    assert (await retention.expire(fresh_db, terms, in_use, clock.now())).pictures == 2
    busy.add(late.id)  # asked for in the moment before it went into the bin
    async with fresh_db.workspace(ada.workspace_id, ada.user_id) as tx:
        assert set(await repository.inputs(tx, [used.id, late.id])) == {used.id, late.id}
    clock.advance(timedelta(days=3))
    assert (await tasks.purge(fresh_db, storage, clock, date(2026, 3, 1), in_use)).rows == 1
    assert [await stored(storage, [one]) for one in (free, used, late)] == [0, 4, 4]
    busy.clear()
    await retention.expire(fresh_db, terms, in_use, clock.now())
    clock.advance(timedelta(days=3))
    assert (await tasks.purge(fresh_db, storage, clock, date(2026, 3, 4), in_use)).rows == 2


async def test_batches_interruptions_and_two_workers_count_everything_once(
    fresh_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (tasks, retention):
        monkeypatch.setattr(module, "BATCH", 3)
    storage, clock = Storage.from_url(str(tmp_path / "files")), FixedClock(BEGIN)
    ada = await make_user(fresh_db)
    await on(fresh_db, ada, "month")
    hers = await made(fresh_db, storage, ada, BEGIN, 7)
    clock.advance(timedelta(days=20))
    await nights(fresh_db, storage, clock, 3)
    clock.advance(timedelta(days=8))
    await asyncio.gather(*(tasks.run_night(fresh_db, storage, clock, UTC, OTHERS) for _ in range(2)))
    assert await seen(fresh_db, ada, hers) == 0
    clock.advance(timedelta(days=3))
    folder = (tmp_path / "files" / hers[4].storage_key).parent
    folder.rename(tmp_path / "away")
    folder.write_bytes(b"a file where a folder was: the store answers with an error")
    with pytest.raises(Unavailable):
        await tasks.run_night(fresh_db, storage, clock, UTC, OTHERS)
    folder.unlink()
    (tmp_path / "away").rename(folder)
    clock.advance(timedelta(minutes=15))
    both = await asyncio.gather(*(tasks.run_night(fresh_db, storage, clock, UTC, OTHERS) for _ in range(2)))
    assert any(both)
    assert await tasks.run_night(fresh_db, storage, clock, UTC, OTHERS) is None, "the night is done"
    assert await stored(storage, hers) == 0
    retained = (await report(fresh_db))["retention"]
    assert (retained.pictures, retained.bytes) == (7, sum(one.size_bytes for one in hers))


async def test_killed_between_files_and_rows_it_goes_on(
    fresh_db: Database, fresh_database_url: str, tmp_path: Path
) -> None:
    storage = Storage.from_url(str(tmp_path / "files"))
    await seeded(settings_for(fresh_database_url, tmp_path, "http://127.0.0.1:9"))
    ada = await make_user(fresh_db)
    long_ago = datetime.now(UTC) - timedelta(days=3)
    hers = await made(fresh_db, storage, ada, long_ago, 2)
    async with fresh_db.workspace(ada.workspace_id, ada.user_id) as tx:
        await repository.delete(tx, [one.id for one in hers], long_ago)
    environment = {
        **os.environ, "DATABASE_URL": fresh_database_url, "GESSO_SECRET_KEY": SECRET, "GESSO_ENV": "test",
        "GESSO_STORAGE_URL": str(tmp_path / "files"), "GESSO_DATA_DIR": str(tmp_path),
        "GESSO_CRASH_AT": "clean.files_removed",
    }  # fmt: skip
    command = [GESSO, "storage", "clean"]
    killed = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, timeout=60)
    assert killed.returncode == -9, killed.stderr
    async with fresh_db.elevated("test") as tx:
        assert await tx.fetchval("SELECT count(*) FROM asset") == 2
    assert (await stored(storage, hers), await report(fresh_db)) == (0, {})
    del environment["GESSO_CRASH_AT"]
    done = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0 and b"for good" in done.stdout
    assert (await report(fresh_db))["person"].pictures == 2


async def test_a_dry_run_says_what_would_go_and_changes_nothing(fresh_db: Database, storage: Storage) -> None:
    clock = FixedClock(datetime.now(UTC))
    ada = await make_user(fresh_db)
    await on(fresh_db, ada, "month")
    await made(fresh_db, storage, ada, clock.now() - timedelta(days=29))
    (binned,) = await made(fresh_db, storage, ada, clock.now())
    await made(fresh_db, storage, ada, clock.now(), source="upload")
    day = clock.now().date()
    await tasks.clean(fresh_db, storage, clock, day, OTHERS)
    await retention.tell(fresh_db, await retention.terms_in_use(fresh_db, PLANS), clock.now())
    await tell(fresh_db, clock)
    clock.advance(timedelta(days=35))
    async with fresh_db.workspace(ada.workspace_id, ada.user_id) as tx:
        await repository.delete(tx, [binned.id], clock.now() - timedelta(days=3))
    await storage.put(f"{ada.workspace_id}/2026/01/{UUID(int=7)}/original", b"of nobody")
    would = await tasks.clean(fresh_db, storage, clock, day, OTHERS, dry_run=True)
    assert (would.binned.pictures, would.unused.uploads, would.purged.pictures, would.orphans.files) == (1, 1, 1, 1)
    assert await report(fresh_db) == {}
    did = await tasks.clean(fresh_db, storage, clock, day, OTHERS)
    assert (did.binned, did.unused, did.orphans) == (would.binned, would.unused, would.orphans)
    assert did.purged == would.purged + Count(files=4)
    assert (await report(fresh_db))["orphan"] == Count(files=1, bytes=9)


async def test_missing_files_are_told_of_night_by_night_and_found_again(fresh_db: Database, storage: Storage) -> None:
    clock = FixedClock(BEGIN)
    ada = await make_user(fresh_db)
    hers = await made(fresh_db, storage, ada, BEGIN, 3)
    lost = hers[1]
    data = await storage.get(lost.storage_key)
    await storage.delete([lost.storage_key])
    place, found = None, 0
    for _ in range(4):  # two pictures a night: it begins anew after the end
        some, place = await missing.look(fresh_db, storage, place, clock.now(), most=2)
        found += some
    async with fresh_db.elevated("test") as tx:
        total, listed = await deletions.missing(tx, 10)
    assert (total, listed[0].key, found) == (1, lost.storage_key, 2)
    assert await seen(fresh_db, ada, hers) == 3, "nothing is deleted for it"
    await storage.put(lost.storage_key, data)
    assert await missing.look(fresh_db, storage, None, clock.now()) == (0, None)
    async with fresh_db.elevated("test") as tx:
        assert (await deletions.missing(tx, 10))[0] == 0


@pytest.mark.parametrize(
    ("utc", "zone", "night"),
    [
        ("2026-05-11T02:59", "UTC", None),
        ("2026-05-11T03:00", "UTC", date(2026, 5, 11)),
        ("2026-05-11T00:59", "Europe/Berlin", None),
        ("2026-05-11T01:00", "Europe/Berlin", date(2026, 5, 11)),
        ("2026-03-29T01:00", "Europe/Berlin", date(2026, 3, 29)),  # from 02:00 to 03:00 in one step
        ("2026-10-25T01:30", "Europe/Berlin", None),  # 02:30 for the second time
        ("2026-05-10T21:15", "Asia/Kathmandu", date(2026, 5, 11)),
    ],
)
def test_the_night_begins_at_three_on_the_site_s_clock(utc: str, zone: str, night: date | None) -> None:
    assert tasks.night_of(datetime.fromisoformat(utc).replace(tzinfo=UTC), ZoneInfo(zone)) == night


async def test_the_gallery_says_what_will_go_and_the_lightbox_until_when_it_stays(
    db: Database, new_client: NewClient
) -> None:
    now = datetime.now(UTC)
    ada, bob = await make_user(db, plan="month"), await make_user(db, "Bob", plan="free")
    for actor in (ada, bob):
        await add(db, actor, row(actor, id_at(now - timedelta(days=24))), row(actor, id_at(now - timedelta(days=2))))
    async with db.elevated("test") as tx:
        await tx.execute_raw(
            "INSERT INTO media_retention VALUES ($1, 30, $2, $3, $4, $5)",
            ada.workspace_id, now - timedelta(days=90), now - timedelta(days=8),
            first_id(now - timedelta(days=23)), first_id(now - timedelta(days=31)),
        )  # fmt: skip
    hers, his = await new_client(ada), await new_client(bob)
    page = (await hers.get("/gallery")).text
    assert "1 picture or video will be deleted within 7 days" in page and "kept for 30 days" in page
    assert "kept for" not in (other := (await his.get("/gallery")).text) and "will be deleted" not in other
    old = (await hers.get("/api/media")).json()["items"][-1]["id"]
    lightbox = (await hers.get(f"/gallery/{old}")).text
    until = now + timedelta(days=6)
    assert f"{until.day} {until:%B %Y}" in lightbox
    own = (await his.get("/api/media")).json()["items"][0]["id"]
    assert "Kept until" not in (await his.get(f"/gallery/{own}")).text


def test_terms_in_words() -> None:
    assert [keeping.days_words(days) for days in (1, 30, 365, 730, 400)] == [
        "1 day", "30 days", "1 year", "2 years", "400 days",
    ]  # fmt: skip
    assert Keeping.of(Terms(), None, BEGIN) is None
