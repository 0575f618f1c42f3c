"""The panel's report of deletions: by day and reason, what is stored, which files are missing; as a page and as CSV."""

import csv
import io
from datetime import UTC, date, datetime

from gesso.core.ids import new_id
from gesso.media import deletions
from gesso.media.deletions import Count
from tests.admin.conftest import Panel
from tests.media.pictures import add, row


async def test_every_deletion_is_told_by_day_and_reason(panel: Panel) -> None:
    db, ada, gone = panel.product.db, panel.ada, new_id()
    first, second = date(2026, 5, 11), date(2026, 5, 12)
    async with db.elevated("test") as tx:
        await tx.execute_raw("UPDATE workspace SET name = '=Ada & Sons' WHERE id = $1", ada.workspace_id)
        await deletions.record(tx, first, {(ada.workspace_id, "retention"): Count(2, 1, 0, 12, 3_200_000)})
        await deletions.record(tx, first, {(ada.workspace_id, "retention"): Count(1, 0, 0, 4, 800_000)})
        await deletions.record(tx, first, {(gone, "retention"): Count(5, 0, 0, 20, 1_000)})
        await deletions.record(tx, second, {(ada.workspace_id, "person"): Count(0, 0, 7, 28, 9_000)})
        await deletions.record(tx, second, {(None, "orphan"): Count(files=3, bytes=77)})
    (asset,) = await add(db, ada, row(ada, size_bytes=4_567_000))
    async with db.elevated("test") as tx:
        await tx.execute_raw(
            "INSERT INTO media_missing VALUES ($1, $2, $3, $4)",
            asset.id, ada.workspace_id, asset.storage_key, datetime.now(UTC),
        )  # fmt: skip
    page = (await panel.operator.get("/admin/deletions")).text
    for words in (
        "Monday, 11 May 2026", "Tuesday, 12 May 2026", "Kept no longer by the plan", "Deleted by people",
        "Files nobody refers to", "4.0 MB", "1 picture misses its file", asset.storage_key, "=Ada &amp; Sons",
    ):  # fmt: skip
        assert words in page, words
    older = (await panel.operator.get("/admin/deletions?before=2026-05-12")).text
    assert "Monday, 11 May" in older and "Tuesday, 12 May" not in older
    assert (await panel.operator.get("/admin/deletions?before=soon")).status_code == 422

    answer = await panel.operator.get("/admin/deletions.csv?from=2026-05-11")
    lines = list(csv.reader(io.StringIO(answer.text)))
    assert lines[0] == ["day", "reason", "workspace_id", "workspace", "pictures", "videos", "uploads", "files", "bytes"]
    assert ["2026-05-11", "retention", str(ada.workspace_id), "'=Ada & Sons", "3", "1", "0", "16", "4000000"] in lines
    assert ["2026-05-11", "retention", str(gone), "", "5", "0", "0", "20", "1000"] in lines
    assert ["2026-05-12", "orphan", "", "", "0", "0", "0", "3", "77"] in lines
    for address in ("/admin/deletions", "/admin/deletions.csv"):
        assert (await panel.user.get(address)).status_code == 404
