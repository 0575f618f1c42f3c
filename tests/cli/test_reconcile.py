"""`gesso reconcile` on a product that has worked: its calls agree with the bill until the bill is changed."""

import asyncio
import csv
import json
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gesso.calls.reconcile import service
from gesso.core.settings import SandboxSettings
from gesso.db import Database
from gesso.sandbox.app import create_app as create_sandbox
from gesso.sandbox.pace import Pace
from tests.cli.homes import Home, said
from tests.conftest import SECRET
from tests.product import Product, running, served, settings_for

PATIENCE = 60.0
IMAGE = {"model": "flux-schnell", "prompt": "a lighthouse sandbox:small", "count": 2}


@dataclass
class Worked:
    """The product after its work, and the sandbox's own book."""

    product: Product
    book: Path
    home: Home

    async def reconcile(self, code: int, *arguments: str) -> dict[str, Any]:
        """What the command says, as JSON, of all comparisons together."""
        environment = {
            "DATABASE_URL": self.product.settings.database.owner_urls[0], "GESSO_SECRET_KEY": SECRET,
            "GESSO_ENV": "test", "GESSO_SANDBOX_URL": self.product.sandbox_url,
        }  # fmt: skip
        done = await asyncio.to_thread(self.home.typed, "reconcile", *arguments, "--json", **environment)
        assert done.returncode == code, done.stdout + done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        words = await asyncio.to_thread(self.home.typed, "reconcile", *arguments, **environment)
        said(words, code, "agree" if code == 0 else "are not on the bill")
        return document

    def write(self, statement: str, *values: object) -> None:
        """Change the sandbox's book behind everybody's back."""
        with sqlite3.connect(self.book, timeout=10) as book:
            assert book.execute(statement, values).rowcount == 1, statement


@pytest.fixture
async def worked(fresh_database_url: str, tmp_path: Path) -> AsyncIterator[Worked]:
    sandbox = create_sandbox(
        workers=0, folder=tmp_path / "sandbox", pace=Pace.of(SandboxSettings(queue_seconds=0, paint_seconds="0"))
    )
    async with served(sandbox) as url, running(settings_for(fresh_database_url, tmp_path, url)) as product:
        async with product.person() as ada:
            asked = [IMAGE, IMAGE, IMAGE | {"prompt": "rocks sandbox:fail"}, IMAGE | {"prompt": "rocks sandbox:422"}]
            answers = [await ada.post("/api/generate/image", json=one) for one in asked]
            for _ in range(2):
                assert (await ada.post("/api/prompts/improve", json={"prompt": "a lighthouse"})).status_code == 200
            async with asyncio.timeout(PATIENCE):
                for answer in answers:
                    while not (await ada.get(f"/api/generate/status/{answer.json()['id']}")).json()["finished_at"]:
                        await asyncio.sleep(0.05)
        yield Worked(product, tmp_path / "sandbox" / "sandbox.sqlite", Home(tmp_path))


def told(document: dict[str, Any]) -> set[tuple[str, str | None, str | None]]:
    return {(one["kind"], one["why"], one["reference"]) for each in document["comparisons"] for one in each["findings"]}


async def test_what_the_product_did_agrees_with_the_bill_until_it_is_changed(worked: Worked) -> None:
    document = await worked.reconcile(0)
    assert told(document) == set()
    days = [day for each in document["comparisons"] for day in each["days"]]
    calls = {
        connection: sum(day["calls"] for day in days if day["connection"] == connection)
        for connection in ("fal", "openai")
    }
    assert calls["fal"] >= 4 and calls["openai"] == 2, days
    ours, theirs = (sum(day[f"{side}_micro_usd"] for day in days) for side in ("ours", "theirs"))
    assert ours > 0 and theirs > 0

    done = [
        row["operation"]["id"]
        for row in await _rows(worked.product.db)
        if row["state"] == "succeeded" and row["operation"]
    ]
    removed, changed = done[:2]
    worked.write("DELETE FROM line WHERE request_id = ?", removed)
    worked.write("UPDATE line SET cost_micro_usd = cost_micro_usd + 500 WHERE request_id = ?", changed)
    worked.write(
        "INSERT INTO line (request_id, provider, endpoint, key_hint, prompt_sha256, created_at, status, cost_micro_usd)"
        " SELECT 'stranger', provider, endpoint, key_hint, prompt_sha256, created_at, status, 700 FROM line"
        " WHERE request_id = ?", changed,
    )  # fmt: skip
    drift = {("missing", None, removed), ("priced", None, changed), ("phantom", "unknown", "stranger")}
    assert told(await worked.reconcile(1)) == drift
    assert told(await worked.reconcile(1, "fal")) == drift
    kept = await _kept(worked.product.db)
    assert {one["kind"] for each in kept for one in each["findings"]} == {"missing", "priced", "phantom"}

    table = worked.book.with_name("bill.csv")
    _export(worked.book, table)
    assert told(await worked.reconcile(1, "fal", "--file", str(table))) == drift
    assert told(await worked.reconcile(1, "fal", "--file", str(table), "--tolerance", "90")) == drift - {
        ("priced", None, changed)
    }
    environment = {"DATABASE_URL": worked.product.settings.database.owner_urls[0], "GESSO_SECRET_KEY": SECRET}
    for arguments, sentence in (
        (("--file", str(table)), "whose bill"),
        (("fal", "--file", str(table.with_name("none.csv"))), "cannot be read"),
        (("nobody",), "no connection"),
        (("--since", "2026-11-21", "--until", "2026-11-20"), "before"),
    ):
        refused = await asyncio.to_thread(worked.home.typed, "reconcile", *arguments, **environment)
        assert refused.returncode == 1 and sentence in refused.stderr, refused
    alone = await asyncio.to_thread(worked.home.typed, "reconcile", "fal", **environment)  # no sandbox is known
    assert alone.returncode == 2 and "Not compared: fal" in alone.stdout


async def _rows(db: Database) -> list[Any]:
    async with db.elevated("test: attempts") as tx:
        return list(await tx.fetch("SELECT state, operation FROM attempt ORDER BY id"))


async def _kept(db: Database) -> list[dict[str, Any]]:
    async with db.elevated("test: what was kept") as tx:
        return await service.kept_of(tx)


def _export(book: Path, table: Path) -> None:
    """A table as an operator would make it of a provider's page: other columns, dollars, in another order."""
    with sqlite3.connect(book) as rows, table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Cost_USD", "note", "reference", "model", "at"])
        for request_id, endpoint, at, cost in rows.execute(
            "SELECT request_id, endpoint, created_at, cost_micro_usd FROM line WHERE provider = 'fal' ORDER BY 4"
        ):
            writer.writerow([Decimal(cost) / 1_000_000, "x, y", request_id, endpoint, at])
