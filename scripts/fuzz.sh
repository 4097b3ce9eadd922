#!/usr/bin/env bash
# Fuzz the parsers (fuzz/README.md): every target for so many seconds, one after the other.
#
#   scripts/fuzz.sh SECONDS [TARGET...]     targets: frame rest csv zip config jsonrpc (default: all)
#   scripts/fuzz.sh SECONDS --keep          and keep the inputs that reached something new, in fuzz/corpus
#
# Ends with 1 if an input crashed a parser or took longer than a second; it lies in var/fuzz/TARGET/found.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

main() {
    local seconds=${1:-} keep=0 target failed=0
    local -a targets=(frame rest csv zip config jsonrpc)
    [[ $seconds =~ ^[1-9][0-9]*$ ]] || {
        echo "usage: scripts/fuzz.sh SECONDS [--keep] [TARGET...]" >&2
        exit 2
    }
    shift
    [[ ${1:-} != --keep ]] || { keep=1 && shift; }
    ./scripts/setup.sh --dev >&2
    .venv/bin/python -c 'import atheris' 2>/dev/null || {
        echo "fuzz.sh: atheris is not installed: there is none for this machine (Linux on x86-64 has it)" >&2
        exit 1
    }
    (($# == 0)) || targets=("$@")
    for target in "${targets[@]}"; do
        echo "== $target, $seconds s"
        if ! .venv/bin/python -m fuzz "$target" --seconds "$seconds"; then
            echo "fuzz.sh: $target: see var/fuzz/$target/found" >&2
            failed=1
        elif ((keep)); then
            .venv/bin/python -m fuzz "$target" --keep
        fi
    done
    exit "$failed"
}

main "$@" </dev/null
