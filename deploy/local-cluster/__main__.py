"""Two webs, two workers, nginx, PostgreSQL and S3 on this machine: `python deploy/local-cluster [up | drill]`.

up      stays up until Ctrl-C; prints the address and how to log in
drill   (the default) rolling restarts, kills and a new release under load; prints what was lost: nothing
        writes deploy/local-cluster/RESULTS.md; --short does one restart of everything and writes nothing
"""

import argparse
import asyncio
import signal
import sys

import drill
from cluster import running
from frontdoor import find_nginx
from parts import ClusterError
from report import console
from rich.panel import Panel
from visitors import Visitor

from gesso.core.ids import new_id

UP_PORT = 8443


def main() -> int:
    """Exit code 0 when all went well."""
    parser = argparse.ArgumentParser(prog="python deploy/local-cluster", description=__doc__.splitlines()[0])
    parser.add_argument("mode", nargs="?", choices=("drill", "up"), default="drill")
    parser.add_argument("--port", type=int, help=f"nginx's port; in `up` {UP_PORT}, else a free one")
    parser.add_argument("--short", action="store_true", help="one restart of everything, in half a minute")
    chosen = parser.parse_args()
    try:
        find_nginx()
        if chosen.mode == "up":
            asyncio.run(_up(chosen.port or UP_PORT))
        else:
            asyncio.run(drill.run(port=chosen.port, short=chosen.short))
    except ClusterError as error:
        console.print(f"[bold red]local-cluster:[/] {error}", highlight=False, soft_wrap=True)
        return 1
    return 0


async def _up(port: int) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with running(port=port, paint_seconds="0.8-1.5") as cluster:
        async with Visitor.arrived(cluster.address, cluster.trust, f"ada.{new_id().hex[:6]}@example.test") as ada:
            await cluster.run("user", "make-operator", ada.email)
            await cluster.run("credits", "grant", ada.email, "1000", "--reason", "to try the cluster")
            lines = [
                f"[bold]{cluster.address}[/]   (the certificate is of our own making)",
                f"Log in as [bold]{ada.email}[/] with the password [bold]{ada.password}[/]",
                *(f"{name} answers on http://127.0.0.1:{own}" for name, own in cluster.web_ports.items()),
                f"Logs: {cluster.folder}   Ctrl-C stops everything.",
            ]
        console.print(Panel("\n".join(lines), title="gesso × 2", title_align="left", expand=False))
        await stopping.wait()


if __name__ == "__main__":
    sys.exit(main())
