"""`gesso user …` and `gesso credits …`: accounts and top-ups from the terminal."""

from typing import Annotated

import typer

from gesso.accounts import service as accounts
from gesso.accounts.hooks import AccountHooks
from gesso.accounts.visit import Visit
from gesso.billing.renewal import sign_up_grants
from gesso.catalog.registry import Catalog
from gesso.cli.common import console, fail, run_with_database
from gesso.core.clock import SystemClock
from gesso.core.ids import new_id
from gesso.core.money import parse_credits
from gesso.core.settings import Settings
from gesso.credits import service as credits
from gesso.credits.types import CREDIT, UNITS
from gesso.db import Database
from gesso.web.render import credits_words

users = typer.Typer(no_args_is_help=True, help="People.")
grants = typer.Typer(no_args_is_help=True, help="Credits of a workspace.")


@users.command("create")
def create(
    email: Annotated[str, typer.Argument(help="E-mail address to sign in with.")],
    name: Annotated[str, typer.Option(help="What to call the person.")],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True)],
) -> None:
    """Make an account with its personal workspace and the plan's sign-up grants."""

    async def run(db: Database, _: Settings) -> None:
        clock = SystemClock()
        catalog = await Catalog.load(db)
        hooks = AccountHooks(default_plan=lambda: catalog.default_plan.key, on_sign_up=[sign_up_grants(catalog, clock)])
        await accounts.create_user(
            db, email=email, name=name, password=password, hooks=hooks, visit=Visit(at=clock.now())
        )

    run_with_database(run)
    console.print(f"{email} can sign in now.")


@users.command("make-operator")
def make_operator(email: Annotated[str, typer.Argument(help="E-mail address of an existing account.")]) -> None:
    """Let a person run the site."""

    async def run(db: Database, _: Settings) -> None:
        async with db.elevated("user make-operator") as tx:
            await accounts.make_operator(tx, email, visit=Visit(at=SystemClock().now()))

    run_with_database(run)
    console.print(f"{email} is an operator now.")


@grants.command("grant")
def grant(
    email: Annotated[str, typer.Argument(help="E-mail address of a member of the workspace.")],
    amount: Annotated[str, typer.Argument(help="Credits, such as 50 or 0.5; whole uses for an allowance.")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the workspace's history.")],
    unit: Annotated[str, typer.Option(help=f"One of {', '.join(UNITS)}.")] = CREDIT,
    key: Annotated[str | None, typer.Option(help="Names the occasion: the same key grants once.")] = None,
) -> None:
    """Top up a workspace. The credits do not expire."""

    async def run(db: Database, _: Settings) -> tuple[str, bool]:
        async with db.elevated("credits grant") as tx:
            workspace = await accounts.workspace_of(tx, email)
            lot = await credits.grant(
                tx, workspace["id"], unit=unit, amount=_amount(unit, amount), source="operator",
                key=f"operator:{key or new_id()}", reason=reason,
            )  # fmt: skip
            return workspace["name"], lot is not None

    name, granted = run_with_database(run)
    shown = credits_words(_amount(unit, amount)) if unit == CREDIT else f"{amount} × {unit}"
    console.print(f"{name} got {shown}." if granted else f"Nothing done: “{key}” was granted before.")


def _amount(unit: str, amount: str) -> int:
    if unit == CREDIT:
        return parse_credits(amount)
    if not amount.isdigit():
        fail("An allowance is granted in whole uses.")
    return int(amount)
