"""Which commands of the README the first-hour test runs, and as what."""

from __future__ import annotations

import pytest

from scripts.lib.readme_commands import RULES, Command, Rule, commands, steps
from tests.support.processes import ROOT

_README = (ROOT / "README.md").read_text(encoding="utf-8")
_SAMPLE = """# Title

Prose with `code` and $ signs.

```sh
./one    # what it does
./two \\
    --more

# a remark alone
three 'a # b'
```

<!-- first hour: not run: it needs a bank -->
```bash
pay
```

```
$ shown --with output
its output
```

```sql
SELECT 'it'
FROM t;
```

```python
print("x")
```

<!-- another comment -->
```
only shown
```
"""


def test_commands_are_found_in_order_with_their_lines() -> None:
    assert list(commands(_SAMPLE)) == [
        Command("./one", 6, "sh"),
        Command("./two \\\n    --more", 8, "sh"),
        Command("three 'a # b'", 11, "sh"),
        Command("pay", 16, "sh", "it needs a bank"),
        Command("shown --with output", 20, "sh"),
        Command("SELECT 'it'\nFROM t;", 25, "sql"),
        Command('print("x")', 30, "python"),
    ]


def test_a_block_that_is_not_closed_is_refused() -> None:
    with pytest.raises(ValueError, match="not closed"):
        list(commands("```sh\nrm"))


def test_rules_put_end_and_leave_out() -> None:
    rules = (
        Rule("^sudo ", "no sudo", put=""),
        Rule("8000", "another port", put="{port}"),
        Rule("^follow", "for ever", seconds=5, codes=(0, 124)),
        Rule("^cancel", "it may be over", codes=(0, 1)),
        Rule("^docker", "no engine"),
    )
    texts = ["sudo get :8000", "follow", "cancel", "docker up", "plain"]
    made = steps((Command(text, 1, "sh") for text in texts), rules)
    assert [(step.text, step.note, step.seconds, step.codes) for step in made] == [
        ("get :{port}", "no sudo; another port", None, (0,)),
        ("follow", "for ever", 5, (0, 124)),
        ("cancel", "it may be over", None, (0, 1)),
        (None, "no engine", None, (0,)),
        ("plain", "", None, (0,)),
    ]


def test_queries_and_programs_are_quoted_whole() -> None:
    made = [step.text for step in steps(list(commands(_SAMPLE))[-2:], ())]
    query = r"'SELECT '\''it'\''" + "\nFROM t;'"
    assert made == [
        f"./scripts/start.sh psql -v ON_ERROR_STOP=1 -c {query}",
        """.venv/bin/python -c 'print("x")'""",
    ]


def test_every_rule_is_for_a_command_of_the_readme_and_says_why() -> None:
    found = list(commands(_README))
    unused = [
        rule
        for rule in RULES
        if not any(step.note for step in steps(found, (rule,)) if not step.command.skipped)
    ]
    assert unused == []
    assert all(rule.reason for rule in RULES)


def test_the_readme_leaves_little_out_and_says_why() -> None:
    made = list(steps(commands(_README)))
    left_out = [step.command.text.split()[0] for step in made if step.text is None]
    assert left_out == ["IMPORT_DSN=postgresql://reader:...@old.example/tradecat", "grpcurl"]
    assert len(made) - len(left_out) >= 25
    assert all(step.note for step in made if step.text is None or step.seconds)
