"""Which larger plan and which pack are named to somebody who has run out."""

from gesso.billing.ways import larger_plan, pack_for
from gesso.catalog.items import Pack, Plan
from gesso.core.ids import new_id


def plan(key: str, place: int, *, cents: int | None = None, **monthly: int) -> Plan:
    return Plan(new_id(), key, key, monthly_grants=monthly, month_cents=cents, position=place)


FREE = plan("free", 0, image=3)
GIFT = plan("gift", 1, image=90)
SMALL = plan("small", 2, cents=999, image=50)
LARGE = plan("large", 3, cents=2999, image=200, video=30)
PLANS = (FREE, GIFT, SMALL, LARGE)
PACKS = tuple(Pack(new_id(), f"p{size}", f"{size}", size, size) for size in (100, 20, 50))


def test_the_next_plan_for_sale_that_gives_more_of_what_is_lacking() -> None:
    assert larger_plan(FREE, PLANS, "image") is SMALL
    assert larger_plan(FREE, PLANS, "video") is LARGE
    assert larger_plan(GIFT, PLANS, "image") is LARGE  # the one between gives less
    assert larger_plan(LARGE, PLANS, "image") is None
    assert larger_plan(SMALL, PLANS, "chat") is None


def test_the_smallest_pack_that_covers_it_else_the_largest() -> None:
    assert [getattr(pack_for(missing, PACKS), "name", None) for missing in (1, 20, 21, 51, 101)] == [
        "20", "20", "50", "100", "100",
    ]  # fmt: skip
    assert pack_for(1, ()) is None
