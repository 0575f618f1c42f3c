"""What operators do to workspaces: give credits and take them back, change the plan. All of it leaves its trace."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from gesso.admin import workspaces
from gesso.admin.frame import Deed
from gesso.billing import plans as billing
from gesso.billing.plans import Changed
from gesso.catalog.registry import Catalog
from gesso.core.errors import Conflict, InvalidInput
from gesso.core.money import MICRO, format_credits, parse_credits
from gesso.credits import adjusting
from gesso.credits.types import CREDIT, MAX_AMOUNT, UNITS, format_amount
from gesso.db import ElevatedSession
from gesso.web.wording import unit_words, word

Direction = Literal["give", "take"]
REASON_LEAST, REASON_MOST = 3, 200
LARGE: Mapping[str, int] = {CREDIT: 1000 * MICRO}
LARGE_USES = 1000
"""From here on an adjustment is asked about once more."""


@dataclass(frozen=True, slots=True)
class Adjustment:
    """So much of a unit, given or taken back: microcredits, or uses. `reason` stands in the members' history."""

    direction: Direction
    unit: str
    amount: int
    reason: str
    expires_at: datetime | None = None

    @property
    def large(self) -> bool:
        """Whether it is asked about once more."""
        return self.amount >= LARGE.get(self.unit, LARGE_USES)

    @property
    def words(self) -> str:
        """“1,500 credits”, “3 images”."""
        if self.unit != CREDIT:
            return unit_words(self.unit, self.amount)
        whole, dot, rest = format_credits(self.amount).partition(".")
        return f"{int(whole):,}{dot}{rest} {word('credit' if self.amount == MICRO else 'credits')}"


def adjustment(
    direction: Direction, unit: str, amount: str, reason: str, expires_at: datetime | None, now: datetime
) -> Adjustment:
    """From what was typed, exactly. Raises InvalidInput naming every wrong field."""
    wrong: dict[str, str] = {}
    found = 0
    if unit not in UNITS:
        wrong["unit"] = f"Choose one of {', '.join(UNITS)}."
    elif unit == CREDIT:
        try:
            found = parse_credits(amount)
        except InvalidInput as error:
            wrong["amount"] = error.fields["credits"]
    elif amount.isascii() and amount.isdigit() and len(amount) < 20:
        found = int(amount)
    else:
        wrong["amount"] = "Give whole uses, such as 5."
    if "unit" not in wrong and "amount" not in wrong and not 1 <= found <= MAX_AMOUNT:
        wrong["amount"] = "Give more than 0." if found < 1 else "That is more than can be given at once."
    reason = " ".join(reason.split())
    if not REASON_LEAST <= len(reason) <= REASON_MOST:
        wrong["reason"] = f"Say why, in {REASON_LEAST} to {REASON_MOST} characters: the members read it."
    if expires_at is not None and direction == "take":
        wrong["expires_at"] = "Only what is given can end."
    elif expires_at is not None and expires_at <= now:
        wrong["expires_at"] = "Choose a day in the future."
    if wrong:
        raise InvalidInput(" ".join(wrong.values()), fields=wrong)
    return Adjustment(direction, unit, found, reason, expires_at)


async def adjust(
    tx: ElevatedSession, deed: Deed, workspace_id: UUID, asked: Adjustment, *, token: str, confirmed: bool
) -> bool:
    """Do it once; False when this `token` was used before, and then nothing is changed.

    Raises NotFound; InvalidInput on `confirmed` for a large one that was not confirmed; Conflict when less is free
    than is to be taken.
    """
    workspace = await workspaces.find(tx, workspace_id)
    if asked.large and not confirmed:
        verb = "Give" if asked.direction == "give" else "Take back"
        preposition = "to" if asked.direction == "give" else "from"
        reason = f"{verb} {asked.words} {preposition} {workspace.name}? Confirm that it is meant."
        raise InvalidInput(reason, fields={"confirmed": reason})
    if asked.direction == "give":
        done = await adjusting.give(
            tx, workspace_id, unit=asked.unit, amount=asked.amount, key=token, reason=asked.reason,
            expires_at=asked.expires_at, now=deed.at,
        )  # fmt: skip
    else:
        done = await adjusting.take_back(
            tx, workspace_id, unit=asked.unit, amount=asked.amount, key=token, reason=asked.reason, now=deed.at
        )
    if done:
        after = await tx.fetchval(
            "SELECT available FROM credit_balance WHERE workspace_id = $1 AND unit = $2", workspace_id, asked.unit
        )
        before = after - asked.amount if asked.direction == "give" else after + asked.amount
        await deed.note(
            tx, "credits.given" if asked.direction == "give" else "credits.taken", workspace=str(workspace_id),
            unit=asked.unit, amount=format_amount(asked.unit, asked.amount), reason=asked.reason,
            before={"balance": format_amount(asked.unit, before)}, after={"balance": format_amount(asked.unit, after)},
        )  # fmt: skip
    return done


async def change_plan(
    tx: ElevatedSession, deed: Deed, workspace_id: UUID, to: str, catalog: Catalog, *, later: bool
) -> Changed:
    """Put it on another plan: now, or (`later`) when its month ends. Nobody is charged.

    Raises NotFound; InvalidInput for an unknown plan; Conflict while a payment provider keeps its subscription.
    """
    workspace = await workspaces.find(tx, workspace_id)
    if to not in catalog.snapshot.plans:
        raise InvalidInput("There is no such plan.", fields={"plan": "Choose a plan of this site."})
    paying = await workspaces.subscription_of(tx, workspace_id)
    if paying is not None and paying.provider != "manual":
        raise Conflict("It pays for its plan by a subscription, which decides. Change or end that one.")
    if to == workspace.plan_key and workspace.next_key is not None:
        await billing.keep_plan(tx, workspace_id, now=deed.at)
    await deed.note(
        tx, "workspace.plan_changed", workspace=str(workspace_id), later=later,
        before={"plan": workspace.plan_key}, after={"plan": to},
    )  # fmt: skip
    at = workspace.renews_at if later else None
    return await billing.change_plan(tx, workspace_id, to, catalog, now=deed.at, at=at)
