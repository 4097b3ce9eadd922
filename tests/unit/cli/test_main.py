"""The command line in this process: exit codes, messages, the manual."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from src import __version__
from src.cli import main
from src.cli.commands.general import Example
from src.cli.context import parse_assignments
from src.config import setting_names
from src.errors import EXIT_CONFIG, EXIT_FAILURE, EXIT_OK, EXIT_UNAVAILABLE, EXIT_USAGE, ConfigError

COMMANDS = ("migrate", "status", "config", "symbols", "doctor", "healthcheck", "sandbox")
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of this machine's settings, and a folder without files."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.removesuffix("_FILE") in setting_names() or name.startswith("MARKETD_"):
            monkeypatch.delenv(name)


def test_version(capsys: Captured) -> None:
    assert main(["--version"]) == EXIT_OK
    assert capsys.readouterr().out == f"marketd {__version__}\n"


def test_the_manual_names_commands_exit_codes_and_settings(capsys: Captured) -> None:
    assert main(["--help"]) == EXIT_OK
    text = capsys.readouterr().out
    for part in (*COMMANDS, "Examples:", "Exit codes:", "Signals:", "75", "78", "DATABASE_URL", "--standby"):
        assert part in text
    assert max(len(line) for line in text.splitlines()) <= 110


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_manual(command: str, capsys: Captured) -> None:
    assert main([command, "--help"]) == EXIT_OK
    assert f"Usage: marketd {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--nope",
        "nope",
        "--ws config",
        "--standby status",
        "sandbox --port",
        "config --example toml",
        "--speed x",
    ],
)
def test_a_wrong_command_line_is_two_and_no_traceback(line: str, capsys: Captured) -> None:
    assert main(line.split()) == EXIT_USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert ("Usage: marketd" in err or "Error: " in err) and "Traceback" not in err


def test_every_wrong_setting_is_a_line_of_its_own(capsys: Captured) -> None:
    assert main(["--ws", "--set", "buffer_rows=1", "--set", "NOPE=1", "--speed", "3"]) == EXIT_CONFIG
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("marketd: ") for line in lines)
    assert [
        word for word in ("NOPE", "DATABASE_URL", "BUFFER_ROWS=1", "SPEED=3") if word in "\n".join(lines)
    ] == [
        "NOPE",
        "DATABASE_URL",
        "BUFFER_ROWS=1",
        "SPEED=3",
    ]


def test_set_needs_a_value() -> None:
    assert parse_assignments(["a=b=c", " symbols = *"]) == {"A": "b=c", "SYMBOLS": " *"}
    with pytest.raises(ConfigError, match="--set NAME=VALUE"):
        parse_assignments(["BUFFER_ROWS"])


def test_config_shows_value_and_origin_and_masks(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2hunter2@h/db")
    Path(".env").write_text("CHUNK_DAYS=3")
    assert main(["--set", "FLUSH_INTERVAL=1.5", "config"]) == EXIT_OK
    text = capsys.readouterr().out
    table = {line.split()[0]: line.split(maxsplit=1)[1] for line in text.splitlines()}
    assert tuple(table) == setting_names()
    assert table["CHUNK_DAYS"].split() == ["3", ".env", "line", "1"]
    assert table["FLUSH_INTERVAL"].split() == ["1.5", "flag"]
    assert table["DATABASE_URL"].split() == ["postgresql://***@h/db", "environment"]
    assert "hunter2" not in text
    assert main(["config", "--json"]) == EXIT_OK
    content = json.loads(capsys.readouterr().out)
    assert content["CHUNK_DAYS"] == {"value": "3", "from": ".env line 1"}


def test_config_gives_single_values_bare(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p'w@h/db")
    assert main(["config", "--get", "database_url"]) == EXIT_OK
    assert main(["config", "--get", "http_proxy"]) == EXIT_FAILURE
    assert main(["config", "--shell"]) == EXIT_OK
    assert capsys.readouterr().out == (
        "postgresql://u:p'w@h/db\nDATABASE_URL='postgresql://u:p'\"'\"'w@h/db'\n"
    )
    assert main(["config", "--get", "databse_url"]) == EXIT_CONFIG
    assert "did you mean DATABASE_URL?" in capsys.readouterr().err


@pytest.mark.parametrize("form", list(Example))
def test_config_prints_the_examples(form: Example, capsys: Captured) -> None:
    assert main(["config", "--example", form.value]) == EXIT_OK
    text = capsys.readouterr().out.upper()
    assert all(name in text for name in setting_names())


@pytest.mark.parametrize("extra", [[], ["--live"], ["--timeout", "1"]])
def test_healthcheck_without_a_daemon(extra: list[str], capsys: Captured) -> None:
    assert main(["--set", "METRICS_PORT=9", "healthcheck", *extra]) == EXIT_FAILURE
    assert "no daemon answers on http://127.0.0.1:9" in capsys.readouterr().err


def test_migrate_without_a_database(capsys: Captured) -> None:
    assert main(["migrate"]) == EXIT_CONFIG
    assert (
        main(["--set", "DATABASE_URL=postgresql://u:hunter2hunter2@127.0.0.1:9/db", "migrate"])
        == EXIT_UNAVAILABLE
    )
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 2 and "hunter2" not in err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("coverage --from 2026-13-45", "'--from': 2026-13-45: write it as a UTC day, such as 2026-11-01"),
        ("gaps --to yesterday", "'--to': yesterday: write it as a UTC day, such as 2026-11-01"),
        ("coverage --from 2026-11-05 --to 2026-11-01", "--from 2026-11-05 is after --to 2026-11-01"),
    ],
)
def test_a_wrong_day_is_told_with_what_is_taken(line: str, told: str, capsys: Captured) -> None:
    assert main(line.split()) == EXIT_USAGE
    assert told in " ".join(capsys.readouterr().err.split())


def test_an_export_into_what_is_no_folder_is_one_clear_line(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "file").write_text("")
    arguments = ["--set", "DATABASE_URL=postgresql://u@127.0.0.1:1/d", "export", str(tmp_path / "file")]
    assert main(arguments) == EXIT_CONFIG
    assert capsys.readouterr().err.startswith(f"marketd: {tmp_path / 'file'}: cannot be written: ")
