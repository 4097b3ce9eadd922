"""The examples and the README list every setting as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from src.adapters.binance.stream.options import OWN_STREAMS
from src.config import load, masked, setting_names
from src.config.load import CONFIG_FILE, ENV_FILE, known_names
from src.config.render import env_example, markdown_table, yaml_example

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("file", "text", "form"),
    [(".env.example", env_example(), "env"), ("config.example.yaml", yaml_example(), "yaml")],
)
def test_the_committed_example_is_current(file: str, text: str, form: str) -> None:
    assert (ROOT / file).read_text(encoding="utf-8") == text, (
        f"python -m src config --example {form} > {file}"
    )


def test_the_readme_lists_every_setting() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert markdown_table() in readme, (
        "put the output of python -m src config --example markdown into README.md"
    )


def test_the_examples_with_every_hash_taken_away_mean_the_defaults(tmp_path: Path) -> None:
    def bare(text: str) -> str:
        names = known_names()
        lines = [line[1:] for line in text.splitlines() if line.startswith("#") and not line.startswith("# ")]
        assert {line.replace(":", "=").partition("=")[0].upper() for line in lines} <= set(names)
        assert len(lines) == len(setting_names())
        return "\n".join(lines)

    (tmp_path / "env").write_text(bare(env_example()))
    (tmp_path / "yaml").write_text(bare(yaml_example()))
    assert yaml.safe_load((tmp_path / "yaml").read_text()).keys()
    defaults = masked(load(environ={ENV_FILE: "/dev/null", CONFIG_FILE: "/dev/null"}).settings)
    from_env = load(environ={ENV_FILE: str(tmp_path / "env"), CONFIG_FILE: "/dev/null"}).settings
    from_yaml = load(environ={ENV_FILE: "/dev/null", CONFIG_FILE: str(tmp_path / "yaml")}).settings
    assert masked(from_env) == masked(from_yaml) == defaults


def test_the_streams_of_our_own_are_told() -> None:
    """As many as every connection carries besides its symbols."""
    row = next(line for line in markdown_table().splitlines() if "`STREAMS_PER_CONNECTION`" in line)
    assert OWN_STREAMS == 2 and "two of our own" in row
