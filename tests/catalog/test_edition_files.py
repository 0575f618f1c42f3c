"""The editions that come with gesso say what their products are: plans, prices, models, words, pictures."""

import pytest
from PIL import Image

from gesso.catalog.editions import Edition, Face, edition_names, load_edition
from gesso.catalog.editions.edition import BUILT
from gesso.catalog.items import Model, Plan, StylePreset
from gesso.catalog.pricing import quote, usual_price
from gesso.catalog.views import sample_url
from gesso.web.brand import contrast, corrections
from gesso.web.render import STATIC, icon

NAMES = ("characters", "imagery", "prompts", "studio", "team", "wrapper")
EDITIONS = {name: load_edition(name) for name in NAMES}


def plans(name: str) -> dict[str, Plan]:
    return {plan.key: plan for plan in EDITIONS[name].plans}


def models(name: str) -> dict[str, Model]:
    return {model.key: model for model in EDITIONS[name].models}


def credits(model: Model, **params: object) -> float:
    """What one output costs, in credits."""
    return quote(model, params, 1)[0].credits / 1_000_000


def test_these_and_no_others_come_along() -> None:
    assert edition_names() == NAMES


@pytest.mark.parametrize("edition", EDITIONS.values(), ids=EDITIONS)
def test_an_edition_is_whole(edition: Edition) -> None:
    """Everything that pages show of it is there, fits, and can be read."""
    face = edition.face
    assert Face.from_document(face.name, face.document()) == face
    assert "gallery" in face.modules
    assert "dashboard" in face.modules
    assert face.landing.headline
    assert face.landing.lead
    assert {one.row for one in face.landing.pictures} == {1, 2}
    assert face.welcome.create
    assert face.welcome.gallery
    assert len(face.welcome.image) == 3
    assert ("video" not in face.modules) or len(face.welcome.video) == 3
    assert corrections(face.colours) == ()
    for feature in face.landing.features:
        assert icon(feature.icon)
    for picture in face.landing.pictures:
        with Image.open(STATIC / f"pictures/{picture.name}.webp") as image:
            assert image.size == (picture.width, picture.height), picture.name
    shown: tuple[Model | StylePreset, ...] = (*edition.models, *edition.style_presets)
    for item in shown:
        assert item.sample is None or sample_url(item), item.key
    makes = {model.kind for model in edition.models if model.enabled}
    assert "image" in makes
    assert ("video" in makes) is ("video" in face.modules)


@pytest.mark.parametrize("edition", EDITIONS.values(), ids=EDITIONS)
def test_its_first_model_can_be_paid_with_what_an_account_begins_with(edition: Edition) -> None:
    plan = next(plan for plan in edition.plans if plan.key == edition.face.defaults.plan)
    model = next(model for model in edition.models if model.key == edition.face.defaults.model)
    given = {**plan.signup_grants, **plan.monthly_grants}
    assert given.get("image") or given.get("credit", 0) >= usual_price(model).credits
    assert plan.free


@pytest.mark.parametrize("edition", EDITIONS.values(), ids=EDITIONS)
def test_a_stand_in_is_never_dearer(edition: Edition) -> None:
    known = {model.key: model for model in edition.models}
    for model in known.values():
        for key in model.fallbacks:
            essential = {"prompt", "negative_prompt", "size", "aspect_ratio", "references"}
            assert essential & set(model.settings) <= set(known[key].settings)
            assert usual_price(known[key]).credits <= usual_price(model).credits


@pytest.mark.parametrize("edition", EDITIONS.values(), ids=EDITIONS)
def test_text_can_be_read_in_its_colours(edition: Edition) -> None:
    """WCAG 2.2, 1.4.3. The light theme's tones are derived from these by the stylesheet, which has tests of its own."""
    rgb = {
        name: tuple(int(value[at : at + 2], 16) / 255 for at in (1, 3, 5))
        for name, value in edition.face.colours.items()
    }
    for ground in ("background", "surface"):
        assert contrast(rgb["text"], rgb[ground]) >= 7  # type: ignore[arg-type]
        assert contrast(rgb["muted"], rgb[ground]) >= 4.5  # type: ignore[arg-type]
        assert contrast(rgb["primary"], rgb[ground]) >= 3  # type: ignore[arg-type]


def test_characters_sells_what_its_table_says() -> None:
    characters, found = EDITIONS["characters"], plans("characters")
    assert (characters.face.brand.name, characters.face.words["credits"]) == ("AI Character Studio", "tokens")
    assert characters.face.colours == {
        "background": "#0a0a0f", "surface": "#1a1a24", "primary": "#8b5cf6", "primary_hover": "#7c3aed",
        "secondary": "#ec4899", "text": "#ffffff", "muted": "#9ca3af", "border": "#2d2d3d",
    }  # fmt: skip
    assert [(plan.key, plan.month_cents) for plan in characters.plans] == [
        ("free", None), ("starter", 999), ("pro", 2999),
    ]  # fmt: skip
    assert (found["free"].signup_grants, found["free"].monthly_grants) == ({"image": 3}, {})
    assert found["starter"].monthly_grants == {"image": 50, "video": 5}
    assert found["pro"].monthly_grants == {"image": 200, "video": 30}
    assert [plan.characters for plan in characters.plans] == [1, 5, None]
    assert [plan.limits["steps"] for plan in characters.plans] == [(20,), (35, 40, 45, 50), (35, 40, 45, 50)]
    assert [plan.watermark for plan in characters.plans] == [True, False, False]
    assert [plan.advanced for plan in characters.plans] == [False, False, True]
    priorities = [plan.queue_priority for plan in characters.plans]
    assert priorities == sorted(set(priorities))
    assert [(pack.credits, pack.price_cents) for pack in characters.packs] == [
        (50_000_000, 499), (100_000_000, 899), (250_000_000, 1999),
    ]  # fmt: skip
    image, still, film = (models("characters")[key] for key in ("sdxl", "stable-video", "kling"))
    assert (image.upstream, credits(image)) == ("stability-ai/sdxl", 1)
    assert image.settings["size"]["default"] == "768x1024"
    assert image.settings["guidance"]["default"] == 7.5
    assert image.settings["negative_prompt"]["default"].startswith("ugly, poorly drawn face, hands, low quality")
    assert (still.settings["motion"]["default"], still.settings["noise"]["default"]) == (127, 0.02)
    assert credits(still, duration=4) == 5
    assert credits(film, duration=6) == 8


def test_imagery_counts_images_and_nothing_else() -> None:
    assert {key: plan.monthly_grants for key, plan in plans("imagery").items()} == {
        "free": {"image": 100}, "basic": {"image": 300}, "plus": {"image": 500}, "max": {"image": 1000},
    }  # fmt: skip
    assert EDITIONS["imagery"].packs == ()
    assert {plan.retention_days for plan in EDITIONS["imagery"].plans} == {None}
    assert [(model.upstream, credits(model)) for model in EDITIONS["imagery"].models] == [
        ("rundiffusion-fal/juggernaut-flux/lightning", 1), ("rundiffusion-fal/rundiffusion-photo-flux", 1),
        ("rundiffusion-fal/juggernaut-flux/pro", 1), ("fal-ai/flux-pro/v1.1-ultra", 1),
    ]  # fmt: skip


def test_wrapper_asks_its_provider_first_and_charges_its_gems() -> None:
    wrapper, found = EDITIONS["wrapper"], models("wrapper")
    assert wrapper.face.policy.adult
    assert plans("wrapper")["free"].signup_grants == {"credit": 10_000_000}
    image, film = found["portraits"], found["scenes"]
    assert wrapper.connections[0].adapter == "promptchan"
    assert image.connection_id == film.connection_id == wrapper.connections[0].id
    assert [credits(image, quality=tier) for tier in ("Ultra", "Extreme", "Max")] == [1, 2, 3]
    assert [credits(film, quality=tier) for tier in ("Standard", "High", "Max")] == [10, 15, 20]
    assert credits(found["companion"]) == 1
    assert list(image.settings) == ["prompt", "negative_prompt", "size", "count", "seed", "style", "emotion", "quality"]
    assert (image.fallbacks, film.fallbacks) == (("lightning",), ("kling",))


def test_team_writes_and_looks_by_its_chains() -> None:
    team = EDITIONS["team"]
    chains = {chain.key: chain for chain in team.chains}
    upstream = {model.key: (adapter_of(team, model), model.upstream) for model in team.models}
    assert [upstream[link.model] for link in chains["text"].links] == [
        ("kie", "gemini-3-pro"), ("kie", "gemini-2.5-pro"), ("gemini", "gemini-3.8-flash"),
    ]  # fmt: skip
    assert [upstream[link.model][0] for link in chains["vision"].links] == ["openai", "gemini"]
    assert upstream[chains["vision"].links[0].model] == ("openai", "gpt-4o")
    assert {chain.total_seconds for chain in team.chains} == {30}
    assert "billing" not in team.face.wanted
    assert "sharing" not in team.face.wanted
    assert [adapter_of(team, model) for model in team.models if model.kind == "image"] == ["kie", "kie", "fal"]
    assert plans("team")["team"].parallel == 50


def adapter_of(edition: Edition, model: Model) -> str:
    return next(one.adapter for one in edition.connections if one.id == model.connection_id)


def test_prompts_sells_prompts_by_the_month_and_by_the_year() -> None:
    found = plans("prompts")
    assert [plan.monthly_grants["prompt"] for plan in found.values()] == [20, 500, 5000]
    assert [plan.retention_days for plan in found.values()] == [30, 365, None]
    assert all(plan.own_keys for plan in found.values())
    assert all(plan.free or (plan.month_cents and plan.year_cents) for plan in found.values())
    assert {chain.key for chain in EDITIONS["prompts"].chains} == {"text", "vision"}


def test_what_a_release_lacks_is_wanted_and_absent() -> None:
    face = EDITIONS["wrapper"].face
    assert {"chat", "presets"} <= set(face.missing)
    assert set(face.modules) <= set(BUILT)
    assert not set(face.modules) & set(face.missing)
    assert face.document()["modules"] == list(face.wanted)
