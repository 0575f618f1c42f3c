"""[landing] and [welcome]: what an edition shows to strangers, and what it tells newcomers first."""

from gesso.catalog.editions.edition import FEATURE_ICONS, MODULES, STEPS, DemoPicture, Feature, Landing, Step, Welcome
from gesso.catalog.editions.tables import KEY, Table
from gesso.web.render import AssetMissing, static

PROMPTS = 3
"""How many prompts to begin with stand on an empty page."""
MOST_STEPS = 4
"""More than so many first steps are no quick look."""


def read_landing(table: Table) -> Landing:
    """[landing] with its [[landing.pictures]] and [[landing.features]]."""
    usual = Landing()
    landing = Landing(
        headline=table.text("headline", usual.headline, longest=80),
        lead=table.text("lead", "", longest=300),
        placeholder=table.text("placeholder", "", longest=160),
        pictures=tuple(_picture(one) for one in table.tables("pictures")),
        features=tuple(_feature(one) for one in table.tables("features")),
    )
    table.finish()
    return landing


def _picture(table: Table) -> DemoPicture:
    picture = DemoPicture(
        name=table.text("name", pattern=KEY),
        alt=table.text("alt"),
        width=table.integer("width", low=1, high=4096),
        height=table.integer("height", low=1, high=4096),
        row=table.integer("row", 1, low=1, high=2),
    )
    try:
        static(f"pictures/{picture.name}.webp")
    except AssetMissing:
        table.wrong("name", f"there is no picture “{picture.name}”")
    table.finish()
    return picture


def _feature(table: Table) -> Feature:
    feature = Feature(
        icon=table.one_of("icon", FEATURE_ICONS),
        title=table.text("title", longest=60),
        text=table.text("text", longest=200),
        module=table.one_of("module", MODULES) if "module" in table else None,
    )
    table.finish()
    return feature


def read_welcome(table: Table) -> Welcome:
    """[welcome]: sentences, three prompts for each kind of thing that is made, and [[welcome.steps]]."""
    welcome = Welcome(
        title=table.text("title", "", longest=60),
        create=table.text("create", "", longest=300),
        gallery=table.text("gallery", "", longest=300),
        image=_prompts(table, "image"),
        video=_prompts(table, "video"),
        steps=tuple(_step(one) for one in table.tables("steps")),
    )
    done = [step.do for step in welcome.steps]
    if len(done) > MOST_STEPS or len(set(done)) < len(done):
        table.wrong("steps", f"there may be {MOST_STEPS} steps at most, each of another kind")
    table.finish()
    return welcome


def _step(table: Table) -> Step:
    step = Step(
        do=table.one_of("do", STEPS), title=table.text("title", longest=40), text=table.text("text", longest=140)
    )
    table.finish()
    return step


def _prompts(table: Table, key: str) -> tuple[str, ...]:
    prompts = table.texts(key)
    if prompts and len(prompts) != PROMPTS:
        table.wrong(key, f"“{key}” must have {PROMPTS} prompts, or be left out")
    return prompts
