"""Where a provider's bill comes from: a table (CSV) that an operator got from the provider, or the sandbox's own.

Columns, by the names in the first line; more columns do no harm:

=============  =========================================================================================
`cost_usd`     what the job costs, in dollars, such as 0.0031; a plain number without signs around it
`at`           when the job began, ISO 8601 such as 2026-11-21T15:04:05Z; without a zone it is UTC
`reference`    optional: the provider's id of the job, as `gesso` keeps it of calls that are polled
`model`        optional: the model, as the provider calls it (a model's `upstream` in the catalogue)
`client_key`   optional: our key of the call, where the provider repeats it
`webhook`      optional: the address the provider was given, from which our key of the call is read
`status`       optional: queued, running, processing, pending or starting: not settled, so no price is compared
=============  =========================================================================================
"""

import csv
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import httpx2

from gesso.calls.reconcile.matching import Line
from gesso.core.errors import InvalidInput, Unavailable

REQUIRED = ("cost_usd", "at")
UNSETTLED = frozenset({"queued", "running", "processing", "pending", "starting", "in_progress", "in_queue"})
MICRO = 1_000_000
_MOST_USD = Decimal(1_000_000)
_SANDBOX_SECONDS = 60.0


class Biller(Protocol):
    """Something that can tell what a provider billed, job by job."""

    def lines(self) -> AsyncIterator[Line]:
        """All lines, in any order. Raises InvalidInput for a bill that cannot be read, Unavailable."""
        ...


class FileBill:
    """A table from a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def lines(self) -> AsyncIterator[Line]:
        """Line by line, however long the file is."""
        try:
            with self._path.open(newline="", encoding="utf-8-sig") as file:
                for line in table(csv.reader(file)):
                    yield line
        except OSError as error:
            raise InvalidInput(f"{self._path} cannot be read: {error.strerror}.") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise InvalidInput(f"{self._path} is no table in UTF-8: {error}.") from error


class SandboxBill:
    """What the sandbox wrote down of one provider's jobs."""

    def __init__(self, sandbox_url: str, provider: str) -> None:
        self._url = f"{sandbox_url.rstrip('/')}/_bill.csv"
        self._provider = provider

    async def lines(self) -> AsyncIterator[Line]:
        """As they come over the wire."""
        try:
            async with httpx2.AsyncClient(timeout=_SANDBOX_SECONDS, trust_env=False) as client:
                async with client.stream("GET", self._url, params={"provider": self._provider}) as answer:
                    if answer.status_code != 200:
                        raise Unavailable(f"The sandbox's bill cannot be read ({answer.status_code}).")
                    head: Sequence[str] | None = None
                    async for text in answer.aiter_lines():
                        cells = next(csv.reader([text]), [])
                        if head is None:
                            head = _head(cells)
                        elif cells:
                            yield _line(dict(zip(head, cells, strict=False)), 0)
        except httpx2.HTTPError as error:
            raise Unavailable(f"The sandbox does not answer ({type(error).__name__}).") from error


def table(rows: Iterator[list[str]]) -> Iterator[Line]:
    """The lines of a table, whose first row names the columns. Raises InvalidInput naming the row that is wrong."""
    head = _head(next(rows, []))
    for number, cells in enumerate(rows, 2):
        if any(cell.strip() for cell in cells):
            yield _line(dict(zip(head, cells, strict=False)), number)


def _head(cells: Sequence[str]) -> Sequence[str]:
    names = [cell.strip().lower() for cell in cells]
    lacking = [name for name in REQUIRED if name not in names]
    if lacking:
        raise InvalidInput(f"The bill's first line must name the columns; {' and '.join(lacking)} is missing.")
    return names


def _line(row: Mapping[str, str], number: int) -> Line:
    said = {name: value.strip() for name, value in row.items() if value and value.strip()}
    return Line(
        reference=said.get("reference"),
        at=_moment(said.get("at", ""), number),
        cost_micro_usd=_micro_usd(said.get("cost_usd", ""), number),
        model=said.get("model"),
        client_key=said.get("client_key") or _key_in(said.get("webhook")),
        settled=said.get("status", "").lower() not in UNSETTLED,
    )


def _moment(text: str, number: int) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            f"Line {number} of the bill: “{text[:40]}” is no time such as 2026-11-21T15:04:05Z."
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _micro_usd(text: str, number: int) -> int:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not (amount.is_finite() and 0 <= amount < _MOST_USD):
        raise InvalidInput(f"Line {number} of the bill: “{text[:40]}” is no amount in dollars such as 0.0031.")
    return int((amount * MICRO).to_integral_value())


def _key_in(webhook: str | None) -> str | None:
    """Our key of the call in an address that `generation.tools.webhook_url` made."""
    return next(iter(parse_qs(urlsplit(webhook).query).get("call", [])), None) if webhook else None
