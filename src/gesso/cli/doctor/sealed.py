"""Whether what is sealed can be opened, and whether a change of the secret was brought to its end."""

from gesso.catalog import resealing
from gesso.cli.doctor.findings import Finding, ill, look, well
from gesso.cli.secrets import named, state_of
from gesso.core.settings import Settings
from gesso.db import Database


async def examine(db: Database, settings: Settings) -> list[Finding]:
    """The keys that the sealed values need, against those that there are."""
    async with db.elevated("doctor: sealed values") as tx:
        holdings = await resealing.holdings(tx)
    owners = {
        state: tuple(one for held in holdings if state_of(held.key_id, settings.sealer) == state for one in held.owners)
        for state in ("seals", "opens", "missing")
    }
    if owners["missing"]:
        return [ill(
            "sealed keys", f"{named(owners['missing'])}: sealed under a secret that is not here",
            "Name it in GESSO_SECRET_KEY_OTHERS and run: gesso secrets rotate. Or give the keys again: "
            "gesso connection key.",
        )]  # fmt: skip
    if owners["opens"]:
        return [look(
            "sealed keys", f"{len(owners['opens'])} are still sealed under an older secret",
            "Run: gesso secrets rotate",
        )]  # fmt: skip
    count = len(owners["seals"])
    if settings.other_secrets:
        return [look(
            "sealed keys", f"all {count} are sealed under GESSO_SECRET_KEY; GESSO_SECRET_KEY_OTHERS is not needed",
            "When every process has the new secret, take GESSO_SECRET_KEY_OTHERS away.",
        )]  # fmt: skip
    return [well("sealed keys", f"{count}, under key {settings.sealer.key_id()}" if count else "none")]
