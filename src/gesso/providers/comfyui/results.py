"""From an ended job to its result: which files count, bringing them home, what it cost.

Files are fetched here and not by their address, because a proxy in front of the box may want our key for them. Where
the box sends to another address, that address is handed on to be fetched without the key.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urljoin

from gesso.providers import asking
from gesso.providers.base import JSON, Done, Failed, OutputFile
from gesso.providers.comfyui import failures, wire
from gesso.providers.comfyui.client import ComfyClient
from gesso.providers.errors import Rejected
from gesso.providers.http import NoAnswer

FETCH_SECONDS = 240.0
FILE_MAX_BYTES = 512 * 2**20
Facts = Mapping[str, JSON]


async def outcome(client: ComfyClient, entry: wire.Entry, facts: Facts) -> Done | Failed:
    """What became of a job. `facts` as `facts_of` made them. Raises Unavailable when a file cannot be had now."""
    cost = _cost(entry.took_ms, facts.get("micro_usd_per_second"))
    if entry.interrupted:
        return Failed(Rejected("The job was cancelled.", "cancelled"), cost)
    if entry.crash is not None or entry.success is False:
        return Failed(failures.of_crash(entry.crash, frozenset(_texts(facts.get("image_nodes"))), client.mask), cost)
    chosen = _chosen(entry.files, _texts(facts.get("outputs")), str(facts.get("kind", "")))
    if not chosen:
        told = "; ".join(_texts(facts.get("left_out"))) or "The workflow ended without a file that counts as a result."
        return Failed(
            Rejected("The model finished without delivering anything.", "failed", note=client.mask(told)), cost
        )
    count = facts.get("count")
    wanted = count if isinstance(count, int) else len(chosen)
    files = [await _fetched(client, file) for file in chosen[:wanted]]
    if not any(file.url or file.data for file in files):
        return Failed(Rejected("The result is no longer kept at the provider.", "gone"), cost)
    warnings = _texts(facts.get("warnings"))
    if len(files) < wanted:
        warnings.append(asking.short_of(len(files), wanted))
    seed = facts.get("seed")
    return Done(tuple(files), seed if isinstance(seed, int) else None, cost, tuple(warnings))


def _chosen(files: Sequence[wire.File], outputs: Sequence[str], kind: str) -> list[wire.File]:
    """The files of the nodes named in `outputs`; without any, all that were saved. Of two kinds, those of ours: a
    film node often leaves its first frame beside the film."""
    if outputs:  # in the order the workflow's owner gave them
        found = [file for node in outputs for file in files if file.node == node or file.node.startswith(f"{node}:")]
    else:
        found = [file for file in files if file.folder == "output"]
    return [file for file in found if file.media_type and file.media_type.startswith(f"{kind}/")] or (
        [] if kind == "video" else found
    )


async def _fetched(client: ComfyClient, file: wire.File) -> OutputFile:
    """The file; without data and address when the box does not have it any more."""
    url = f"{client.url('view')}?{urlencode(file.query)}"
    try:
        answer = await client.call(
            "GET", url, headers={"Accept": "*/*"}, seconds=FETCH_SECONDS, max_bytes=FILE_MAX_BYTES
        )
    except NoAnswer as error:
        raise error.while_asking("View") from None
    location = answer.headers.get("location")
    if 300 <= answer.status < 400 and location:
        return OutputFile(url=urljoin(url, location), media_type=file.media_type)
    if answer.status in (400, 404, 410):
        return OutputFile()
    if answer.status != 200:
        raise failures.classify(answer, client.mask)
    return OutputFile(data=answer.body, media_type=file.media_type) if answer.body else OutputFile()


def _cost(took_ms: int | None, price: JSON) -> int | None:
    """Micro-dollars of the time it ran, rounded up; None unless price and time are known."""
    if not isinstance(price, int) or isinstance(price, bool):
        return None
    if price == 0:
        return 0
    return None if took_ms is None else -(-took_ms * price // 1000)


def _texts(value: Any) -> list[str]:
    return [part for part in value if isinstance(part, str)] if isinstance(value, list) else []
