"""Settings that contradict each other or the world, seen without asking anybody."""

import shutil
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote, urlsplit

from gesso.cli.doctor.findings import Finding, graded, ill, look, well
from gesso.core.settings import Settings

DISTINCT_CHARACTERS = 12
"""A random secret of 32 characters or more has more different ones than this; a repeated word has fewer."""
GIB = 2**30


async def examine(settings: Settings) -> list[Finding]:
    """All of them."""
    return [*_all(settings)]


def _all(settings: Settings) -> Iterator[Finding]:
    site = settings.site
    yield well("settings", f"{site.env}, edition {site.edition}, release {site.release}")
    yield _secret(settings)
    yield _address(settings)
    yield from _disks(settings)
    yield _metrics(settings)


def _secret(settings: Settings) -> Finding:
    kept = settings.site.data_dir / "secret_key"
    if len(set(settings.secret_key)) < DISTINCT_CHARACTERS:
        way_out = "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
        return graded("secret", "GESSO_SECRET_KEY is easy to guess", way_out, ill_if=not settings.site.development,
                      look_if=True)  # fmt: skip
    if kept.exists() and kept.stat().st_mode & 0o077:
        return ill("secret", f"Others on this machine may read {kept}", f"chmod 600 '{kept}'")
    return well("secret", "strong")


def _address(settings: Settings) -> Finding:
    site, parts = settings.site, urlsplit(settings.site.url)
    local = _is_loopback(parts.hostname or "")
    if parts.scheme == "http" and not local:
        return graded(
            "address", f"{site.url} is not https: cookies travel in the clear",
            "Serve it through a proxy that speaks https, and set GESSO_BASE_URL=https://…",
            ill_if=not site.development, look_if=True,
        )  # fmt: skip
    if site.base_url is None and site.host not in ("127.0.0.1", "::1", "localhost"):
        return look(
            "address", f"Bound to {site.host}, while links and cookies are made for {site.url}",
            "Set GESSO_BASE_URL to the address people use.",
        )  # fmt: skip
    if parts.scheme == "https" and local and not site.development:
        return look("address", f"{site.url} is reachable from this machine only", "Set GESSO_BASE_URL.")
    return well("address", f"{site.url}, cookies {'Secure' if site.secure_cookies else 'for http'}")


def _disks(settings: Settings) -> Iterator[Finding]:
    folders = {"data folder": settings.site.data_dir}
    parts = urlsplit(settings.storage_url)
    if parts.scheme in ("", "file"):
        folders["file store"] = Path(unquote(parts.path))
    seen: set[int] = set()
    for name, folder in folders.items():
        there = next((one for one in (folder.absolute(), *folder.absolute().parents) if one.exists()), Path("/"))
        if there.stat().st_dev in seen:
            continue
        seen.add(there.stat().st_dev)
        usage = shutil.disk_usage(there)
        if not usage.total:  # not a disk
            continue
        free = usage.free / usage.total
        yield graded(
            f"disk of the {name}", f"{usage.free / GIB:.1f} GiB free ({free:.0%}) under {folder}",
            "Make room: without it the database stops and pictures cannot be stored.",
            ill_if=usage.free < GIB or free < 0.02, look_if=usage.free < 5 * GIB or free < 0.10,
        )  # fmt: skip


def _metrics(settings: Settings) -> Finding:
    told = settings.telemetry
    if told.port is None and told.token is None:
        return well("metrics", "off")
    if told.port is not None and told.token is None and not _is_loopback(told.host):
        return look(
            "metrics", f"Anybody who reaches {told.host}:{told.port} may read them",
            "Set GESSO_METRICS_TOKEN, unless only your collector reaches that address.",
        )  # fmt: skip
    return well("metrics", f"from port {told.port} on" if told.port else "at /metrics, with the token")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
