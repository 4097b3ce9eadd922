"""Which place wins, what is refused, and that every problem is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from src.config import Loaded, load, setting_names
from src.config.load import CONFIG_FILE, ENV_FILE
from src.errors import EXIT_CONFIG, ConfigError

ANYWHERE = "0.0.0.0"  # noqa: S104 - it is what must be refused
DATABASE = "postgresql://marketd:hunter2hunter2@db.example:5432/market"


class Places:
    """A folder with a .env and a config.yaml, and an environment that points at them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {ENV_FILE: str(folder / "env"), CONFIG_FILE: str(folder / "config.yaml")}
        self.write("")
        self.write_yaml("")

    def write(self, text: str) -> None:
        (self.folder / "env").write_text(text, encoding="utf-8")

    def write_yaml(self, text: str) -> None:
        (self.folder / "config.yaml").write_text(text, encoding="utf-8")

    def load(self, environ: Mapping[str, str] | None = None, **flags: object) -> Loaded:
        return load(flags=flags, environ={**self.environ, **(environ or {})})

    def problems(self, environ: Mapping[str, str] | None = None, **flags: object) -> tuple[str, ...]:
        with pytest.raises(ConfigError) as caught:
            self.load(environ, **flags)
        assert caught.value.exit_code == EXIT_CONFIG
        return caught.value.problems


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def test_the_first_place_wins(places: Places) -> None:
    places.write_yaml("buffer_rows: 1001\nchunk_days: 1\nmetrics_port: 1\nflush_interval: 1")
    places.write("BUFFER_ROWS=1002\nCHUNK_DAYS=2\nMETRICS_PORT=2")
    loaded = places.load({"BUFFER_ROWS": "1003", "CHUNK_DAYS": "3"}, BUFFER_ROWS="1004")
    settings = loaded.settings
    assert (settings.buffer_rows, settings.chunk_days, settings.metrics_port) == (1004, 3, 2)
    assert (settings.flush_interval, settings.rate_limit_per_minute) == (1.0, 1800)
    origins = [loaded.origins.get(name, "") for name in ("BUFFER_ROWS", "CHUNK_DAYS", "METRICS_PORT")]
    assert origins == ["flag", "environment", f"{places.folder / 'env'} line 3"]
    assert "RATE_LIMIT_PER_MINUTE" not in loaded.origins


def test_an_empty_value_counts_as_not_set(places: Places) -> None:
    places.write_yaml("log_level: warning\nhttp_proxy:")
    places.write("LOG_LEVEL=\nHTTP_PROXY=  ")
    settings = places.load({"LOG_LEVEL": " ", "HTTP_PROXY": ""}).settings
    assert settings.log_level == "warning"
    assert settings.http_proxy is None


def test_missing_files_are_empty_unless_they_were_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(environ={}).origins == {}
    with pytest.raises(ConfigError, match="MARKETD_ENV_FILE=absent: no such file"):
        load(environ={ENV_FILE: "absent"})
    assert load(environ={ENV_FILE: "/dev/null", CONFIG_FILE: "/dev/null"}).origins == {}


def test_unknown_names_are_refused_with_a_suggestion(places: Places) -> None:
    places.write("RATE_LIMIT_PER_MINUT=5\nSOMETHING_ELSE=1")
    places.write_yaml("bufer_rows: 1000")
    flag, near, far, yaml = places.problems(CHUNK_DAY="1")
    assert flag == "CHUNK_DAY (flag): no such setting; did you mean CHUNK_DAYS?"
    assert near.startswith("RATE_LIMIT_PER_MINUT (") and near.endswith("did you mean RATE_LIMIT_PER_MINUTE?")
    assert far.startswith("SOMETHING_ELSE (") and "did you mean" not in far
    assert yaml.startswith("BUFER_ROWS (") and yaml.endswith("did you mean BUFFER_ROWS?")


def test_other_programs_may_have_anything_in_the_environment(places: Places) -> None:
    assert places.load({"RATE_LIMIT": "x", "PATH": "/bin", "buffer_rows": "x"}).origins == {}


def test_every_problem_is_told_at_once(places: Places) -> None:
    places.write("RATE_LIMIT_PER_MINUTE=99999\nnot a setting\nSPEED=20\nNOPE=1")
    places.write_yaml("log_levels: {writer: loud}\nsymbols: [BTCUSDT, ON]")
    found = "\n".join(places.problems({"METRICS_HOST": ANYWHERE, "KLINE_DB_SCHEMA": "pg_x"}))
    for part in (
        "line 2: not NAME=VALUE",
        "NOPE (",
        "RATE_LIMIT_PER_MINUTE=99999 (",
        "set a whole number of weight units a minute, 60 to 2400",
        "writer=loud",
        "SYMBOLS=['BTCUSDT', True]",
        "KLINE_DB_SCHEMA=pg_x (environment)",
        "SPEED=20: a real exchange runs at speed 1",
        "METRICS_HOST=0.0.0.0: other machines could read it",
    ):
        assert part in found


def test_a_field_that_is_wrong_by_itself_is_not_blamed_twice(places: Places) -> None:
    assert len(places.problems({"METRICS_HOST": ANYWHERE, "METRICS_TOKEN": "short"})) == 1


@pytest.mark.parametrize(
    "broken",
    [
        *("symbols: [", "- a list", "just text", "a: b: c"),
        *("speed: 2026-13-01", 'speed: !!int ""', "log_level: !!bool x", "log_level: !!timestamp x"),
        f"speed: 1{':59' * 400}.5",
    ],
)
def test_yaml_that_is_no_mapping_is_refused(places: Places, broken: str) -> None:
    places.write_yaml(broken)
    assert all("config.yaml" in problem for problem in places.problems())


def test_a_name_written_twice_is_refused(places: Places) -> None:
    places.write("CHUNK_DAYS=1\nCHUNK_DAYS=2")
    (problem,) = places.problems()
    assert "stands there twice" in problem


def test_files_that_cannot_be_read_are_told(places: Places) -> None:
    (places.folder / "env").write_bytes(b"SYMBOLS=\xff\xfe")
    (problem,) = places.problems()
    assert problem.endswith("cannot be read: it is not UTF-8 text")


def test_dollars_quotes_and_chinese_survive_the_env_file(places: Places) -> None:
    places.write("DATABASE_URL='postgresql://u:pa$HOME@h/db'\nSYMBOLS=币安人生USDT, btcusdt ,,BTCUSDT\n")
    settings = places.load({"HOME": "/root"}).settings
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://u:pa$HOME@h/db"
    assert settings.symbols == ("币安人生USDT", "BTCUSDT")


class TestSecretFiles:
    def test_the_value_is_the_content_of_the_file(self, places: Places) -> None:
        secret = places.folder / "url"
        secret.write_text(DATABASE + "\n")
        places.write_yaml(f"database_url_file: {secret}")
        loaded = places.load()
        assert loaded.settings.database_url is not None
        assert loaded.settings.database_url.get_secret_value() == DATABASE
        assert loaded.origins["DATABASE_URL"].startswith("DATABASE_URL_FILE, ")

    def test_a_file_in_a_higher_place_wins_over_a_value_in_a_lower_one(self, places: Places) -> None:
        secret = places.folder / "url"
        secret.write_text(DATABASE)
        places.write("DATABASE_URL=postgresql://other/db")
        settings = places.load({"DATABASE_URL_FILE": str(secret)}).settings
        assert settings.database_url is not None
        assert settings.database_url.get_secret_value() == DATABASE

    def test_both_in_one_place_are_refused(self, places: Places) -> None:
        (problem,) = places.problems({"METRICS_TOKEN": "x" * 20, "METRICS_TOKEN_FILE": "/dev/null"})
        assert "both are set" in problem

    def test_absent_and_empty_files_are_refused(self, places: Places) -> None:
        absent, empty = places.problems({"HTTP_PROXY_FILE": "/absent", "METRICS_TOKEN_FILE": "/dev/null"})
        assert "No such file" in absent
        assert "is empty" in empty

    def test_only_secrets_have_a_file(self, places: Places) -> None:
        places.write("SYMBOLS_FILE=/etc/symbols")
        (problem,) = places.problems()
        assert problem.startswith("SYMBOLS_FILE")


def test_required_settings_are_named(places: Places) -> None:
    with pytest.raises(ConfigError, match=r"DATABASE_URL: is not set; set a URL such as"):
        load(environ=places.environ, required=["DATABASE_URL"])


def test_no_problem_shows_a_secret(places: Places) -> None:
    places.write(
        "DATABASE_URL=postgres+psycopg2://u:hunter2hunter2@h/db?password=hunter2hunter2\n"
        "HTTP_PROXY=ftp://u:hunter2hunter2@h:1\nMETRICS_TOKEN=hunter2\nDATABASE_OWNER_URL=hunter2hunter2"
    )
    problems = places.problems()
    assert len(problems) == 4
    assert "hunter2" not in "".join(problems)


def test_names_are_upper_case_and_all_there() -> None:
    assert len(setting_names()) == len(set(setting_names())) >= 26
    assert all(name == name.upper() for name in setting_names())
