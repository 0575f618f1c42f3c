"""A catalogue to test with: edition studio in a real database, and models made by hand."""

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from gesso.catalog.editions import Edition, load_edition
from gesso.catalog.items import Model
from gesso.catalog.registry import Catalog
from gesso.catalog.rules import parse_rule
from gesso.catalog.service import Seeded, seed
from gesso.core.ids import new_id
from gesso.core.sealed import Sealer
from gesso.core.settings import ProviderSettings, Settings, SiteSettings
from gesso.db import Database

SECRET = "a secret for tests only, long enough to pass"
SEALER = Sealer(SECRET)
PROMPT = {"type": "string", "minLength": 1, "maxLength": 2000}
COUNT = {"type": "integer", "minimum": 1, "maximum": 100, "default": 1}


def settings(
    env: str = "test",
    *,
    fal_key: str | None = None,
    fal_base_url: str | None = None,
    openai_base_url: str | None = None,
    comfyui_base_url: str | None = None,
    edition: str = "studio",
) -> Settings:
    """Settings as the environment would give them, whatever the machine's own says."""
    return Settings(
        site=SiteSettings.model_validate({"env": env, "secret_key": SecretStr(SECRET), "edition": edition}),
        providers=ProviderSettings.model_validate(
            {
                "fal_key": SecretStr(fal_key) if fal_key else None,
                "fal_base_url": fal_base_url,
                "openai_base_url": openai_base_url,
                "comfyui_base_url": comfyui_base_url,
            }
        ),
    )


async def seed_studio(db: Database, given: Settings | None = None, edition: Edition | None = None) -> Seeded:
    """What a start does to the catalogue."""
    async with db.elevated("test: seed the catalogue") as tx:
        return await seed(tx, given or settings(), edition or load_edition("studio"))


async def studio_catalog(db: Database) -> Catalog:
    """The catalogue of edition studio, served by the sandbox."""
    await seed_studio(db)
    return await Catalog.load(db)


def model(
    properties: Mapping[str, Any] | None = None, *, price: Any = None, cost: Any = None, kind: Any = "image"
) -> Model:
    """A model with these settings besides prompt and count."""
    return Model(
        id=new_id(),
        key="painter",
        kind=kind,
        name="Painter",
        description="Paints.",
        connection_id=new_id(),
        upstream="someone/painter",
        capabilities={
            "type": "object",
            "properties": {"prompt": PROMPT, "count": COUNT, **(properties or {})},
            "required": ["prompt"],
            "additionalProperties": False,
        },
        price=parse_rule(price or {"credits": "1"}, "credits"),
        cost=parse_rule(cost, "usd") if cost else None,
    )
