"""The panel's page of bills: what the last comparison found, for operators."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from gesso.calls.reconcile import service
from gesso.calls.reconcile.matching import Call, Day, Line, Missing, Phantom, Priced
from gesso.calls.reconcile.service import Comparison, Period
from tests.admin.conftest import Panel

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
TODAY = Period(NOW - timedelta(hours=10), NOW)


async def test_the_last_comparison_of_each_group_is_shown(panel: Panel) -> None:
    page = (await panel.operator.get("/admin/bills")).text
    assert "Nothing compared yet" in page and "gesso reconcile" in page
    db = panel.product.db
    call = Call(UUID(int=7), "fal", "job-7", "key-7", NOW, "fal-ai/some-model", 3100, "actual")
    line = Line("job-<b>8</b>", NOW, 4200, model="fal-ai/other")
    findings = (Missing(call), Phantom(line, "unknown"), Phantom(line, "twice"), Priced(call, line))
    days = {("fal", date(2026, 11, 21)): Day(4, 5, 12_400_000, 4200, 1), ("", date(2026, 11, 21)): Day(lines=1)}
    await service.keep(db, [Comparison(("fal", "fal-2"), TODAY, findings * 30, days)], NOW)
    page = (await panel.operator.get("/admin/bills")).text
    for words in (
        "fal, fal-2", "120 differences", "2026-11-21 00:00", "Not on the bill", "No call of ours", "Billed twice",
        "Another price", "$0.0031", "$0.0042", "$12.40", "1 of unknown cost", "nobody’s", "job-7", "20 more",
        f"/admin/jobs?q={UUID(int=7)}",
    ):  # fmt: skip
        assert words in page, words
    assert "<b>8" not in page
    await service.keep(db, [Comparison(("openai",), TODAY, (), {}), Comparison(("fal",), None, (), {})], NOW)
    page = (await panel.operator.get("/admin/bills")).text
    assert "Everything agrees" in page and "The bill was empty" in page
    assert "fal-2" not in page, "a comparison of the same connection takes the place of the one before"
    assert (await panel.user.get("/admin/bills")).status_code == 404
