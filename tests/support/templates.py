"""Template databases: migrated once per version of ``sql/``, cloned for each test."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from .processes import ROOT, clean_environment
from .roles import make_roles, separate_roles

PREFIX = "marketd_test"
"""Every database the tests make or use is called so; nothing else is ever touched."""

_KEPT_TEMPLATES = 3
_CLONE = re.compile(rf"{PREFIX}_(\d+)_\d+")
_TEMPLATE_LOCK = 7_316_229
_numbers = itertools.count()


def source_digest() -> str:
    """A hash of all that decides what a migrated database looks like."""
    digest = hashlib.sha256()
    runner = sorted((ROOT / "src" / "adapters" / "timescale").rglob("*migrat*.py"))
    here = [Path(__file__), Path(__file__).with_name("roles.py")]
    for path in [*sorted((ROOT / "sql").rglob("*.sql")), *runner, *here]:
        digest.update(f"{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def migrate(url: str, **settings: str) -> None:
    """Run ``marketd migrate`` on ``url`` as an operator would, with no other setting of this machine."""
    environment = {"DATABASE_URL": url, "MARKETD_ENV_FILE": os.devnull, "MARKETD_CONFIG_FILE": os.devnull}
    done = subprocess.run(
        [sys.executable, "-m", "src", "migrate"],
        cwd=ROOT,
        env=clean_environment({**environment, **settings}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"marketd migrate failed:\n{done.stdout}{done.stderr}"


def with_database(url: str, name: str) -> str:
    """The connection URL with another database."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


class Templates:
    """The templates of one server. ``admin_url`` is a superuser's, ``url`` that of the role that will own clones.

    Only the server, not the database, of both URLs is used.
    """

    def __init__(self, admin_url: str, url: str) -> None:
        self._admin_url = with_database(admin_url, "postgres")
        self._base_url = admin_url
        self._url = url
        self._owner = sql.Identifier(urlsplit(url).username or "postgres")

    def migrated(self) -> str:
        """The name of the database with all migrations; made if this version of them has none yet."""
        return self._ensure(f"{PREFIX}_template_{source_digest()}", migrated=True)

    def empty(self) -> str:
        """The name of the database with the extension and nothing else."""
        return self._ensure(f"{PREFIX}_empty", migrated=False)

    @contextmanager
    def clone(self, template: str) -> Iterator[str]:
        """The connection URL of a copy of ``template``, dropped at the end even if sessions are still open."""
        name = f"{PREFIX}_{os.getpid()}_{next(_numbers)}"
        with self._admin() as admin:
            self._create(admin, name, template)
        try:
            yield with_database(self._url, name)
        finally:
            with self._admin() as admin:
                self._drop(admin, name)

    def drop_abandoned(self) -> None:
        """Drop the clones of processes that no longer live: a run that was killed could not."""
        with self._admin() as admin:
            for name in self._names(admin):
                clone = _CLONE.fullmatch(name)
                if clone and not Path(f"/proc/{clone[1]}").exists():
                    self._drop(admin, name)

    def _ensure(self, name: str, *, migrated: bool) -> str:
        with self._admin() as admin:
            admin.execute("SELECT pg_advisory_lock(%s)", [_TEMPLATE_LOCK])
            if name not in self._names(admin):
                self._make(admin, name, migrated=migrated)
        return name

    def _make(self, admin: psycopg.Connection, name: str, *, migrated: bool) -> None:
        # Built under another name, so that a half-made template is never cloned.
        part = f"{PREFIX}_part"
        self._drop(admin, part)
        self._create(admin, part, "template1")
        with psycopg.connect(with_database(self._admin_url, part), autocommit=True) as inside:
            inside.execute("CREATE EXTENSION timescaledb")
        if migrated:
            make_roles(admin)
            owner = with_database(self._url, part)
            migrate(owner, DATABASE_OWNER_URL=owner, **separate_roles(owner))
            self._drop_old_templates(admin)
        rename: LiteralString = "ALTER DATABASE {} RENAME TO {}"
        admin.execute(sql.SQL(rename).format(sql.Identifier(part), sql.Identifier(name)))

    def _drop_old_templates(self, admin: psycopg.Connection) -> None:
        templates = [name for name in self._names(admin) if name.startswith(f"{PREFIX}_template_")]
        for name in templates[: 1 - _KEPT_TEMPLATES]:
            self._drop(admin, name)

    def _names(self, admin: psycopg.Connection) -> list[str]:
        # oid grows, so the oldest comes first
        rows = admin.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY oid", [PREFIX]
        )
        return [name for (name,) in rows]

    def _create(self, admin: psycopg.Connection, name: str, template: str) -> None:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}")
        admin.execute(statement.format(sql.Identifier(name), sql.Identifier(template), self._owner))

    def _drop(self, admin: psycopg.Connection, name: str) -> None:
        with contextlib.suppress(psycopg.errors.InvalidCatalogName):  # another process was faster
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _admin(self) -> psycopg.Connection:
        return psycopg.connect(self._admin_url, autocommit=True, application_name="marketd tests")
