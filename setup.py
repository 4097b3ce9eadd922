"""Builds the pages (web/) into the package before it is packed; all else of the packaging is in pyproject.toml.

An sdist holds what was built, so a wheel that is made of it needs no Node. Where there is neither Node nor anything
built, the package is made all the same, and its API says in the place of the pages that they are not built.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

_ROOT = Path(__file__).resolve().parent


def build_pages() -> None:
    script = _ROOT / "scripts" / "pages.sh"
    if not (_ROOT / "web" / "package.json").is_file() or not script.is_file():
        return
    done = subprocess.run([str(script)], env={**os.environ, "PYTHON": sys.executable}, check=False)  # noqa: S603 - ours
    if done.returncode != 0:
        sys.stderr.write(f"setup.py: scripts/pages.sh ended with {done.returncode}; packing without pages\n")


class BuildWithPages(build_py):
    def run(self) -> None:
        build_pages()
        super().run()


class SdistWithPages(sdist):
    def run(self) -> None:
        build_pages()
        super().run()


setup(cmdclass={"build_py": BuildWithPages, "sdist": SdistWithPages})
