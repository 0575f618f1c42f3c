"""Files that wait for their row: the nightly sweep leaves them alone for as long as somebody may add it."""

import os
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from gesso.core.clock import FixedClock
from gesso.generation.repository import expected_assets
from gesso.media.service import asset_key
from gesso.media.storage import Storage
from gesso.media.tasks import remove_orphans
from tests.generation.house import House


async def test_files_of_an_open_output_stay_however_old_they_are(idle: House) -> None:
    """Stored, then an outage of days: the worker that goes on stores them again and adds the row."""
    ada = await idle.person()
    generation_id = await ada.asked(count=2)
    outputs = await idle.rows("SELECT asset_id FROM output WHERE generation_id = $1", generation_id)
    storage = Storage.from_url(idle.settings.storage_url)
    places: list[Path] = []
    for output in outputs:
        key = asset_key(ada.actor.workspace_id, UUID(str(output["asset_id"])))
        await storage.put(key, b"a picture without a row")
        places.append(idle.settings.site.data_dir / "files" / key)
        os.utime(places[-1], times=(0, 0))
    clock = FixedClock(datetime.now(UTC))
    await remove_orphans(idle.db, storage, clock, clock.now().date(), expected_assets)
    assert all(place.exists() for place in places)
    await ada.http.post(f"/api/generate/{generation_id}/cancel")
    await remove_orphans(idle.db, storage, clock, clock.now().date(), expected_assets)
    assert not any(place.exists() for place in places)
