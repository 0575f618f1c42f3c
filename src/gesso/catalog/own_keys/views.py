"""What the page and the API of own keys show. Pure."""

from dataclasses import dataclass
from datetime import datetime

from gesso.catalog.items import Plan
from gesso.catalog.own_keys.models import OwnKey, OwnKeys, Refusal
from gesso.catalog.own_keys.service import Provider, leftover, opener, providers
from gesso.catalog.registry import Catalog
from gesso.web.wording import word

_KINDS = {"video": "videos", "chat": "texts", "vision": "descriptions"}


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key as its person sees it: its end, "" when it is too short to show one, and why it rests."""

    tail: str
    since: datetime
    refused: Refusal | None
    refused_at: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class ProviderView:
    """A provider with the models that a key for it opens; `kinds`: what they make, in words."""

    key: str
    name: str
    models: tuple[str, ...]
    kinds: str
    mine: KeyView | None


@dataclass(frozen=True, slots=True)
class KeysView:
    """Everything on the page. `locked`: one's plan has no own keys; `opened_by` is the plan that has. `others`: ids
    and kinds of keys that fit no provider here any more."""

    locked: bool
    opened_by: Plan | None
    plans_href: str
    switched_on: bool
    providers: tuple[ProviderView, ...]
    others: tuple[tuple[str, str], ...]

    @property
    def any_key(self) -> bool:
        return any(one.mine for one in self.providers)


def view(catalog: Catalog, plan: Plan, keys: OwnKeys, *, buys: bool) -> KeysView:
    """As things stand for somebody on this plan; `buys`: they may change it."""
    known = providers(catalog)
    return KeysView(
        locked=not plan.own_keys,
        opened_by=None if plan.own_keys else opener(catalog),
        plans_href=catalog.shop.plans if buys and catalog.shop else "",
        switched_on=keys.switched_on,
        providers=tuple(_provider(one, keys.key_for(one.connection)) for one in known),
        others=tuple((str(key.id), key.adapter) for key in leftover(keys, known)),
    )


def _provider(provider: Provider, key: OwnKey | None) -> ProviderView:
    known = _KINDS | {"image": word("pictures")}
    kinds = list(dict.fromkeys(known[model.kind] for model in provider.models if model.kind in known))
    words = ", ".join(kinds[:-1]) + (" and " if len(kinds) > 1 else "") + kinds[-1] if kinds else ""
    return ProviderView(
        provider.key, provider.name, tuple(model.name for model in provider.models), words,
        _key(provider.name, key) if key is not None else None,
    )  # fmt: skip


def _key(name: str, key: OwnKey) -> KeyView:
    why = {
        "key": f"{name} refused this key, so it is not used. Replace it, or test it again.",
        "credit": f"There was no credit left on this key’s {name} account, so it is not used. Top it up there, then "
        "test the key.",
    }
    return KeyView(
        key.key_hint or "", key.created_at, key.refused, key.refused_at, why[key.refused] if key.refused else ""
    )
