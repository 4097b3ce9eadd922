"""The first hour of a new user: the README from top to bottom, in an empty Debian made for it.

    python scripts/first_hour.py [--root DIR] [--write FILE] [--list] [--without-tests]

Makes the smallest Debian 12 (mmdebstrap), clones this checkout's HEAD into it, and runs there, as its root, every
command of README.md in order (``scripts/lib/readme_commands.py`` says which). Prints seconds and exit code of each, and
ends with 1 where one failed or took longer than an hour. Network, package index and certificates are those of this
machine, lent at run time and read only. Needs root, mmdebstrap, bubblewrap and git.

--list only prints what would be run; --without-tests leaves ./scripts/test.sh out, which takes longer than the rest.
"""

from __future__ import annotations

import argparse
import os
import re
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lib.readme_commands import RULES, Command, Rule, Step, commands, steps

ROOT = Path(__file__).resolve().parents[1]
_LENT = (
    "/etc/resolv.conf",
    "/etc/pip.conf",
    "~/.config/pip",
    "~/.pip",
    "~/.npmrc",
    "/usr/local/share/ca-certificates",
)
"""What a machine says of its network; what is not there is not lent."""
_PASSED = re.compile(r"^(PIP_|SSL_CERT_|NODE_EXTRA_CA_CERTS$|https?_proxy$|HTTPS?_PROXY$|npm_config_)")
_HOUR_S = 3600.0
_TESTS = Rule(
    r"scripts/test\.sh", "left out by --without-tests; continuous integration runs it at each commit"
)
_OWN = (
    (
        "./",
        "git clone -q /source marketd && cd marketd && git checkout -q HEAD",
        "README leaves open where from",
    ),
    (
        "marketd()",
        "./scripts/start.sh stop && ./scripts/start.sh demo",
        "the rest is tried on the demo: it needs no venue",
    ),
)
"""What is run before the first command that begins so."""
HELPERS = {
    "newest_task": "./scripts/start.sh psql -XAtc 'select task_id from tasks order by created_at desc limit 1'",
    "demo_port": r"sed -nE '/api_listening/s#^.*http://[0-9.]+:([0-9]+)/.*$#\1#p' var/demo/log/marketd.log | tail -n 1",
}
"""What the rules' {names} stand for: commands that print it."""


@dataclass(frozen=True, slots=True)
class Done:
    """A step that was gone through: seconds, exit code (None where it was not run), and whether that is right."""

    what: str
    seconds: float
    code: int | None
    good: bool
    note: str


def made_root(folder: Path) -> None:
    """Debian's smallest root, from the mirrors that this machine uses."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    uris = {line.split()[1] for line in listed.splitlines() if line.startswith("Debian ")}
    suites = {uri: "bookworm-security" if "security" in uri else "bookworm" for uri in sorted(uris)}
    sources = [f"deb {uri} {suite} main" for uri, suite in suites.items()]
    # In mounts of its own: while it works, the folder's /dev is this machine's, and stays so if it is killed.
    command = [
        "unshare",
        "--mount",
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        "bookworm",
        str(folder),
        *sources,
    ]
    subprocess.run(command, check=True)


def lent() -> Iterator[Path]:
    """Files and folders of this machine's network settings, and the folders of packages that pip's name."""
    told = " ".join(value for name, value in os.environ.items() if name.startswith("PIP_"))
    for name in _LENT:
        path = Path(name).expanduser()
        if not path.exists():
            continue
        yield path
        if "pip" in name:
            files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
            told += " ".join(file.read_text(encoding="utf-8") for file in files)
    # An index that is a folder points at files beside it: what is lent is /opt/index of file:///opt/index/simple.
    folders = {Path(found) for found in re.findall(r"/[\w./-]+", told.replace("file://", " "))}
    yield from sorted({Path(*folder.parts[:3]) for folder in folders if folder.is_dir()})


def git(*arguments: str) -> str:
    """What git says of this checkout."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Shell:
    """One bash inside of the root, which keeps its folder and functions from command to command."""

    def __init__(self, root: Path) -> None:
        home = os.environ.get("HOME", "/root")
        command = ["bwrap", "--bind", str(root), "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/run"]
        command += ["--ro-bind", "/sys", "/sys", "--unshare-pid", "--die-with-parent", "--cap-add", "ALL"]
        command += [
            "--ro-bind",
            git("rev-parse", "--path-format=absolute", "--git-common-dir"),
            "/source",
            "--clearenv",
            "--setenv",
            "LANG",
            "C.UTF-8",
        ]
        command += [
            "--setenv",
            "HOME",
            home,
            "--setenv",
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ]
        for name, value in os.environ.items():
            if _PASSED.match(name):
                command += ["--setenv", name, value]
        for path in dict.fromkeys(lent()):
            command += ["--ro-bind", str(path.resolve()), str(path)]
        self._bash = subprocess.Popen(
            [*command, "bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, text: str, within: float) -> tuple[int | None, str]:
        """Exit code and output; None when it has not ended after so many seconds: the shell is of no more use then."""
        assert self._bash.stdin and self._bash.stdout  # noqa: S101
        self._bash.stdin.write(f"{{ {text}\n}} </dev/null\nprintf '\\036%d\\036' \"$?\"\n".encode())
        self._bash.stdin.flush()
        said, deadline = b"", time.monotonic() + within
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._bash.stdout, selectors.EVENT_READ)
            while not (end := re.search(rb"\036(\d+)\036", said)):
                if not waiting.select(max(deadline - time.monotonic(), 0)):
                    return None, said.decode(errors="replace")
                if not (piece := os.read(self._bash.stdout.fileno(), 65536)):
                    raise RuntimeError(f"the shell has ended: {said.decode(errors='replace')[-2000:]}")
                said += piece
        return int(end[1]), said[: end.start()].decode(errors="replace")

    def end(self) -> None:
        self._bash.kill()
        self._bash.wait()


def with_own(plan: list[Step]) -> list[Step]:
    """With what README leaves to its reader: where the clone comes from, and which market the rest is tried on."""
    for first, own, why in _OWN:
        at = next(at for at, step in enumerate(plan) if step.command.text.startswith(first))
        text = own.replace("HEAD", git("rev-parse", "HEAD"))
        plan = [*plan[:at], Step(Command(own, 0, "sh"), text, why), *plan[at:]]
    return plan


def gone_through(shell: Shell, plan: list[Step]) -> Iterator[Done]:
    """Each step as it is done; ends early where a command does not end, or one that is ours fails."""
    for step in plan:
        if step.text is None:
            yield Done(step.command.text, 0.0, None, True, step.note)
            continue
        text = step.text if step.seconds is None else f"timeout -s INT {step.seconds} {step.text}"
        for name in set(re.findall(r"\{([a-z_]+)\}", text)) & HELPERS.keys():
            text = text.replace(f"{{{name}}}", shell.run(HELPERS[name], 60)[1].strip())
        begun = time.monotonic()
        code, said = shell.run(text, _HOUR_S)
        took = time.monotonic() - begun
        right = code in step.codes
        print("\n".join("    " + line for line in said.splitlines()[-40:]), flush=True)
        yield Done(step.command.text, took, code, right, step.note)
        if code is None or (step.command.line == 0 and code):
            return


def table(done: list[Done]) -> str:
    """The steps as a table in Markdown."""
    lines = ["| seconds | exit | command | |", "|---:|---:|---|---|"]
    for one in done:
        first, *more = one.what.splitlines()
        shown = (first + (" ..." if more else "")).replace("|", "\\|")
        seconds = "" if one.code is None else f"{one.seconds:.1f}"
        code = "not run" if one.code is None else str(one.code)
        lines.append(f"| {seconds} | {code} | `{shown}` | {one.note} |")
    return "\n".join(lines)


def written(path: Path, done: list[Done], head: str) -> None:
    """Puts the table into the file, behind its marker."""
    intro, marker, _ = path.read_text(encoding="utf-8").partition("<!-- table -->\n")
    minutes = sum(one.seconds for one in done) / 60
    ran = [one for one in done if one.code is not None]
    summary = (
        f"Commit `{head}`: {len(ran)} commands run in {minutes:.1f} min, {len(done) - len(ran)} not run.\n\n"
    )
    path.write_text(intro + marker + "\n" + summary + table(done) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="print what would be run, and run nothing")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument(
        "--root", type=Path, help="where the root is made (default: a folder that is removed afterwards)"
    )
    parser.add_argument("--without-tests", action="store_true", help="leave ./scripts/test.sh out")
    parser.add_argument(
        "--write", type=Path, help="put the table into this file, behind its marker <!-- table -->"
    )
    given = parser.parse_args()
    rules = (_TESTS, *RULES) if given.without_tests else RULES
    plan = with_own(list(steps(commands(given.readme.read_text(encoding="utf-8")), rules)))
    if given.list:
        for step in plan:
            print(f"{step.command.line}: {step.text or '-- not run'}" + f"  [{step.note}]" * bool(step.note))
        return 0
    folder = given.root or Path(tempfile.mkdtemp(prefix="first-hour-"))
    head = git("rev-parse", "--short", "HEAD")
    try:
        made_root(folder)
        shell = Shell(folder)
        try:
            done = list(shown(gone_through(shell, plan)))
        finally:
            shell.end()
    finally:
        if given.root is None:
            subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], check=False)
    print(table(done))
    if given.write:
        written(given.write, done, head)
    return 0 if len(done) == len(plan) and all(one.good for one in done) else 1


def shown(done: Iterator[Done]) -> Iterator[Done]:
    """Says each step as it ends."""
    for one in done:
        mark = "not run" if one.code is None else f"{one.seconds:7.1f} s, exit {one.code}"
        print(f"{'  ' if one.good else '! '}{mark}: {one.what}  [{one.note}]", flush=True)
        yield one


if __name__ == "__main__":
    sys.exit(main())
