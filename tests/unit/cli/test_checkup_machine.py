"""The checks of ``marketd doctor`` about this machine: limits, secrets, folders."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from src.cli.health.checkup_machine import check_archive_folder, check_limits, check_secrets
from src.config import Settings


@pytest.mark.parametrize(
    ("number", "soft", "subject", "advice"),
    [
        (resource.RLIMIT_NOFILE, 256, "open files", "LimitNOFILE=1024"),
        (resource.RLIMIT_NPROC, 50, "processes", "LimitNPROC=256"),
        (resource.RLIMIT_FSIZE, 1_000_000, "a file", "LimitFSIZE=infinity"),
    ],
)
def test_a_low_limit_is_told(
    number: int, soft: int, subject: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    infinity = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda asked: (soft, soft) if asked == number else infinity)
    (problem,) = [finding for finding in check_limits() if finding.state != "ok"]
    assert subject in problem.text
    assert advice in problem.advice


def test_limits_that_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        resource, "getrlimit", lambda asked: (1024, 4096) if asked == resource.RLIMIT_NOFILE else (-1, -1)
    )
    assert {finding.state for finding in check_limits()} == {"ok"}


def test_secrets_that_everybody_may_read(tmp_path: Path) -> None:
    env, tokens, password = (tmp_path / name for name in (".env", "tokens", "password"))
    for path in (env, tokens, password):
        path.write_text("x")
        path.chmod(0o640)
    environ = {"MARKETD_ENV_FILE": str(env), "DATABASE_URL_FILE": str(password)}
    settings = Settings(api_tokens_file=str(tokens))
    (finding,) = check_secrets(environ, settings)
    assert (finding.state, "3 files" in finding.text) == ("ok", True)
    for path in (env, tokens, password):
        path.chmod(0o644)
        (finding,) = check_secrets(environ, settings)
        assert (finding.state, finding.advice) == ("warning", f"chmod 600 {path}")
        path.chmod(0o600)
    assert check_secrets({"MARKETD_ENV_FILE": os.devnull}, Settings()) == []


def test_what_is_mounted_into_a_container_is_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "database_url"
    path.write_text("x")
    path.chmod(0o644)
    environ = {"MARKETD_ENV_FILE": os.devnull, "DATABASE_URL_FILE": str(path)}
    assert len(check_secrets(environ, Settings())) == 1
    monkeypatch.setattr("src.cli.health.checkup_machine._MOUNTED_SECRETS", tmp_path)
    assert check_secrets(environ, Settings()) == []


def test_a_config_file_with_a_secret_that_everybody_may_read(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("database_url: x")
    path.chmod(0o644)
    environ = {"MARKETD_ENV_FILE": os.devnull, "MARKETD_CONFIG_FILE": str(path)}
    assert check_secrets(environ, Settings(), {"SYMBOLS": str(path)}) == [], "no secret stands there"
    (finding,) = check_secrets(environ, Settings(), {"DATABASE_URL": str(path)})
    assert (finding.state, finding.advice) == ("warning", f"chmod 600 {path}")


def test_the_folder_of_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = check_archive_folder(Settings(archive_folder=str(tmp_path / "not" / "yet")))
    assert finding.state in {"ok", "warning"}, finding
    (tmp_path / "file").write_text("")
    (finding,) = check_archive_folder(Settings(archive_folder=str(tmp_path / "file" / "below")))
    assert (finding.state, "ARCHIVE_FOLDER" in finding.advice) == ("bad", True)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    (finding,) = check_archive_folder(Settings(archive_folder=str(tmp_path)))
    assert (finding.state, "cannot be written" in finding.text) == ("bad", True)


def test_what_lies_in_a_folder_that_is_closed_to_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may look everywhere, so the refusal is made: as another user's StateDirectory answers, mode 0750."""
    closed, look, may = tmp_path / "state", Path.stat, os.access
    closed.mkdir()

    def stat(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if closed in self.parents:
            raise PermissionError(13, "Permission denied", str(self))
        return look(self, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != closed and may(path, mode))
    (finding,) = check_archive_folder(Settings(archive_folder=str(closed / "archive")))
    assert (finding.state, f"{closed} cannot be written" in finding.text) == ("bad", True)
    settings = Settings(api_tokens_file=str(closed / "tokens"))
    assert check_secrets({"MARKETD_ENV_FILE": os.devnull}, settings) == []
