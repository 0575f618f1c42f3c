"""`python -m bench`: measure, print, and (unless --quick) write RESULTS.md."""

import argparse
import time
from collections.abc import Sequence

import uvloop
from rich.console import Console

from bench import gallery, house, ledger, pictures, product, report, streams, submit
from bench.report import Row

console = Console()


async def measure(*, quick: bool) -> list[Row]:
    """All rows. `quick` takes a few seconds each and proves only that everything runs."""
    seconds, rounds = (2.0, 1) if quick else (6.0, 3)
    rows: list[Row] = []

    def found(*more: Row) -> None:
        rows.extend(more)
        for row in more:
            console.print(f"  {row.what}: [bold]{row.shown(row.value)}[/] {row.verdict}", highlight=False)

    async with house.opened() as home:
        async with home.web() as (port, web):
            found(*await submit.against_pgbench(home, port, seconds=seconds, rounds=rounds))
            found(await submit.one_wallet(home, port, rounds=2 if quick else 10))
            found(await submit.at_a_rate(home, port, seconds=2 if quick else 15))
            found(await submit.on_a_balance_of_one(home, port))
            memory = house.memory_mb(web.pid)
            found(Row("memory of a web process, after all that", memory, " MB", 250, 150, True, "resident"))
            await home.clear_queue()
            async with product.with_worker(home, port):
                found(await product.hand_over(home, port, seconds=3 if quick else 15))
                await product.paint_pictures(port, 2 if quick else 12)
                found(*await streams.streams(home, port, web.pid, count=500 if quick else 10_000))
            found(*await product.pages(port, requests=100 if quick else 500))
            found(
                *await gallery.gallery(
                    home, port, pictures=20_000 if quick else 1_000_000, requests=100 if quick else 500
                )
            )
        found(await ledger.pairs(home, seconds=seconds))
        found(*pictures.ingested(seconds=seconds * 2))
        found(*await product.starts(home))
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds each, to try it; writes nothing")
    quick = parser.parse_args(arguments).quick
    begun = time.perf_counter()
    rows = uvloop.run(measure(quick=quick))
    report.show(console, rows, "quick: these figures are no results" if quick else "measured")
    if not quick:
        report.write(rows, "make bench", time.perf_counter() - begun)
        console.print(f"Written to {report.RESULTS.name}.")


if __name__ == "__main__":
    main()
