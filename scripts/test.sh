#!/usr/bin/env bash
# The gate: makes the environment, provides the database, checks and tests everything. Closes with pytest's summary.
#
#   scripts/test.sh                 all checks and the test suite, with a seeded tenth of the fault runs, and
#                                   as root all that need root
#   scripts/test.sh --faults        all fault runs and nothing else (up to 45 min)
#   scripts/test.sh --slow          the long acceptance runs and nothing else
#   scripts/test.sh ARGUMENT...     arguments go to pytest: -k flush, tests/unit, -n 0; checks run all the same
#
# MARKETD_TEST_DATA names the folder of real data (default ../shared/data), MARKETD_TEST_DATABASE_URL a server to use
# instead of a private one, MARKETD_FAULT_SEED another tenth of the fault runs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly BIN=.venv/bin
FAILED=()

need() { # need PROGRAM PACKAGE
    command -v "$1" >/dev/null || MISSING+=("$2")
}

check_tools() {
    MISSING=()
    need shellcheck shellcheck
    need promtool prometheus
    need faketime faketime
    need ss iproute2
    ((${#MISSING[@]} == 0)) || {
        echo "test.sh: programs that checks and tests need are missing; on Debian or Ubuntu:" \
            "apt-get install ${MISSING[*]}" >&2
        exit 1
    }
}

check() { # check NAME COMMAND...: all checks run, so that one run shows all that is wrong
    echo "== $1"
    "${@:2}" || FAILED+=("$1")
}

static_checks() {
    local -a python=(src tests)
    [[ ! -d benchmarks ]] || python+=(benchmarks)
    [[ ! -d fuzz ]] || python+=(fuzz)
    check "ruff" "$BIN/ruff" check --quiet .
    check "ruff format" "$BIN/ruff" format --quiet --check .
    check "import-linter" "$BIN/lint-imports" --no-cache --no-logo
    check "mypy" "$BIN/mypy" --strict "${python[@]}"
    check "shellcheck" shellcheck -x scripts/*.sh scripts/lib/*.sh deploy/docker/*.sh .ci/run
}

main() {
    local argument selection=0
    for argument in "$@"; do
        [[ $argument != --faults && $argument != --slow ]] || selection=1
    done
    check_tools
    ./scripts/setup.sh --dev
    # The server of the tests starts by itself; this fetches PostgreSQL first, so that no test waits for a download.
    [[ -n ${MARKETD_TEST_DATABASE_URL:-} ]] || ./scripts/timescaledb.sh --private fetch
    ((selection)) || static_checks
    echo "== pytest"
    # The summary of pytest is the last thing a person sees: it names the checks that failed before it.
    MARKETD_FAILED_CHECKS="${FAILED[*]}" "$BIN/python" -m pytest -n 2 --dist worksteal "$@" || exit
    ((${#FAILED[@]} == 0))
}

main "$@" </dev/null
