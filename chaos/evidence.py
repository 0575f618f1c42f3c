"""Everything there is to know after the attack, read once: rows, files, the sandbox's bill, what clients were told."""

import hashlib
import tomllib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chaos.people import Crowd, Person, ask_for, everything, insistently
from chaos.site import EDITION, Site
from gesso.core.money import parse_credits
from gesso.media.service import all_keys

Row = Mapping[str, Any]


@dataclass
class Evidence:
    """Rows as the owner sees them; `shown` and `wallets` by e-mail address as the API shows them."""

    generations: dict[str, Row]
    outputs: list[Row]
    assets: dict[str, Row]
    attempts: list[Row]
    holds: list[Row]
    parts: list[Row]
    captures: list[Row]
    files: dict[str, int]
    bill: list[Row]
    people: list[Person]
    shown: dict[str, dict[str, Row]]
    wallets: dict[str, Row]

    @property
    def owned(self) -> set[str]:
        """Keys of all files that some asset's row speaks for."""
        return {key for asset in self.assets.values() for key in all_keys(asset["storage_key"])}


async def gathered(site: Site, crowd: Crowd) -> Evidence:
    """Read everything."""
    async with site.owner() as owner:
        generations = await owner.fetch("SELECT * FROM generation")
        outputs = await owner.fetch("SELECT * FROM output ORDER BY generation_id, index")
        assets = await owner.fetch("SELECT * FROM asset WHERE source = 'generated'")
        attempts = await owner.fetch("SELECT * FROM attempt ORDER BY id")
        holds = await owner.fetch("SELECT * FROM credit_hold")
        parts = await owner.fetch("SELECT * FROM credit_hold_part")
        captures = await owner.fetch(
            "SELECT hold_id, output_index, unit, sum(amount)::bigint AS amount FROM credit_journal "
            "WHERE kind = 'capture' GROUP BY 1, 2, 3"
        )
    bill: Any = await site.bill()
    shown: dict[str, dict[str, Row]] = {}
    wallets: dict[str, Row] = {}
    for person in crowd.people:
        shown[person.email] = dict(await everything(crowd, person))
        answer = await insistently(crowd, partial(ask_for, crowd, person, "GET", "/api/credits"))
        wallets[person.email] = answer.json()
    return Evidence(
        generations={str(row["id"]): row for row in generations},
        outputs=outputs, assets={str(row["id"]): row for row in assets}, attempts=attempts,
        holds=holds, parts=parts, captures=captures, files=stored(site), bill=bill["jobs"],
        people=crowd.people, shown=shown, wallets=wallets,
    )  # fmt: skip


def store(site: Site) -> Path:
    """The folder with the files."""
    return site.folder / "files" / "store"


def stored(site: Site) -> dict[str, int]:
    """Every file in the store: key → bytes. The probe of `/readyz` is nobody's picture."""
    root = store(site)
    found = {str(path.relative_to(root)): path.stat().st_size for path in root.rglob("*") if path.is_file()}
    return {key: size for key, size in found.items() if not key.startswith("health/")}


def sha256(site: Site, key: str) -> bytes:
    """The digest of a stored file."""
    return hashlib.sha256((store(site) / key).read_bytes()).digest()


def client_key(line: Row) -> str | None:
    """The call a line of the bill belongs to: its client key stands in the webhook's address."""
    return next(iter(parse_qs(urlsplit(line["webhook"] or "").query).get("call", [])), None)


def price(output: Row) -> tuple[str, int]:
    """(unit, amount) of an output's price; credits in microcredits."""
    for unit, uses in (output["price"].get("allowances") or {}).items():
        return unit, int(uses)
    return "credit", parse_credits(str(output["price"]["credits"]))


def list_prices() -> dict[str, Decimal]:
    """Credits for one picture, by the key and by the name of its model: as the edition's file says, read anew."""
    models = tomllib.loads(EDITION.read_text())["models"]
    return {model[word]: Decimal(model["price"]["credits"]) for model in models for word in ("key", "name")}


def spent(charges: list[Row]) -> tuple[Decimal, dict[str, int]]:
    """Credits and allowance uses in a list of prices as the API shows them."""
    uses: dict[str, int] = defaultdict(int)
    for charge in charges:
        for unit, count in (charge.get("allowances") or {}).items():
            uses[unit] += count
    return sum((Decimal(charge["credits"]) for charge in charges), Decimal(0)), dict(uses)
