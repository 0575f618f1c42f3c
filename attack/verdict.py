"""What must hold when all is over: the ledger is right, and what was given is what was paid for."""

from collections import defaultdict
from decimal import Decimal
from uuid import UUID

from attack.score import Attack
from attack.site import Site
from gesso.credits import service as credits

WORTH = {499: 50, 1999: 250, 999: 150, 9990: 150, 2999: 600, 29990: 600}
"""Credits by cents: every price of the edition is another one. A year gives its first month."""


async def lines(site: Site) -> list[Attack]:
    """Two lines for the table; each figure that is compared is a try."""
    await site.till.quiet()
    return [await _ledger(site), await _money(site)]


async def _ledger(site: Site) -> Attack:
    line = Attack("afterwards: the ledger against its journal")
    async with site.product.db.elevated("attack: verify the ledger") as tx:
        wrong = await credits.verify(tx)
        line.tries = int(await tx.fetchval("SELECT count(*) FROM credit_journal"))
    for one in wrong:
        line.wins.append(f"{one.workspace_id} {one.account}: {one.found} instead of {one.expected}")
    line.found = f"{line.tries:,} entries, {len(wrong)} figures differ"
    return line


async def _money(site: Site) -> Attack:
    """Stripe's own books against what the product gave, workspace by workspace, to the microcredit."""
    line = Attack("afterwards: money at Stripe against what was granted")
    book = await site.till.ledger()
    owners = {
        row["ref"]: row["workspace_id"] for row in await site.rows("SELECT ref, workspace_id FROM billing_customer")
    }
    due: dict[UUID, Decimal] = defaultdict(Decimal)
    back = {row["charge"]: Decimal(0) for row in book["refunds"]}
    for row in book["refunds"]:
        back[row["charge"]] += row["amount"]
    for paid in book["payments"]:
        if paid["amount"] not in WORTH or paid["customer"] not in owners:
            line.wins.append(f"{paid['id']}: {paid['amount']} cents are no price of this site")
            continue
        share = 1 - back.get(paid["id"], Decimal(0)) / paid["amount"]
        due[owners[paid["customer"]]] += WORTH[paid["amount"]] * share
    given = {row["workspace_id"]: Decimal(row["given"]) / 1_000_000 for row in await site.rows(
        "SELECT workspace_id, sum(amount - refunded) AS given FROM credit_lot WHERE unit = 'credit'"
        " AND (source = 'pack' OR source = 'plan' AND workspace_id IN"
        " (SELECT workspace_id FROM subscription WHERE ref IS NOT NULL)) GROUP BY workspace_id"
    )}  # fmt: skip
    for workspace in due.keys() | given.keys():
        line.tries += 1
        paid_for, got = due.get(workspace, Decimal(0)), given.get(workspace, Decimal(0))
        line.must(paid_for == got, f"{workspace} got {got} credits for what is worth {paid_for}")
    total = sum(row["amount"] for row in book["payments"]) - sum(row["amount"] for row in book["refunds"])
    line.found = f"{total / 100:,.2f} dollars, {sum(given.values()):,.0f} credits, in {line.tries} workspaces"
    return line
