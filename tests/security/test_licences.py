"""What the product is made of may be given away under Apache-2.0: every locked package has a licence that allows it."""

import json
import re
from importlib.metadata import Distribution, distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]

ALLOWED = {
    "0BSD", "Apache", "Apache-2.0", "Apache Software License", "BSD License", "BSD-0-Clause", "BSD-2-Clause",
    "BSD-3-Clause", "3-Clause BSD License", "CC0-1.0", "ISC", "ISC License (ISCL)", "MIT", "MIT-0", "MIT-CMU",
    "MIT License", "OFL-1.1", "PSF-2.0", "Python Software Foundation License", "The Unlicense (Unlicense)", "Unlicense",
    "Zlib", "Zero-Clause BSD",
}  # fmt: skip
"""These ask for their notice to be kept, and no more (OFL: that fonts are not sold by themselves)."""
WEAK = {"MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)"}
"""Changes to their own files must be published; we change none."""


def licences_of(package: Distribution) -> set[str]:
    """By the expression, else the classifiers, else the field, split at OR and AND: all parts are to be fine."""
    found = package.metadata
    if expression := found.get("License-Expression"):
        return set(re.split(r"\s+(?:OR|AND)\s+|[()]", expression)) - {""}
    classifiers = [line.split(" :: ") for line in found.get_all("Classifier") or [] if line.startswith("License :: ")]
    named = {parts[-1] for parts in classifiers} - {"OSI Approved"}
    return named or {(found.get("License") or "none").split("\n")[0]}


def test_every_locked_package_has_a_licence_that_fits() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    locked = {name.lower().replace("_", "-") for name in re.findall(r"^([\w.-]+)==", lock, re.M)}
    here = {package.metadata["Name"].lower().replace("_", "-"): package for package in distributions()}
    assert len(locked & here.keys()) > 50
    wrong = {name: licences_of(here[name]) - ALLOWED - WEAK for name in sorted(locked & here.keys())}
    assert {name: found for name, found in wrong.items() if found} == {}


def test_every_package_of_the_front_end_too() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    found = {name: package.get("license", "none") for name, package in packages.items() if name}
    assert len(found) >= 5
    assert {name: licence for name, licence in found.items() if licence not in ALLOWED | WEAK} == {}
