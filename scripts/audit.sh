#!/usr/bin/env bash
# Look for what is known to be wrong with the locked packages, and for secrets in the history. Not part of test.sh: what
# is known changes without us, and somebody has to be asked.
#
#   scripts/audit.sh
#
# Ends with 0 if nothing was found, 1 if something was, 3 and the words "not audited" if nobody could be asked. Leaves the
# bill of materials (CycloneDX) in var/audit/sbom.cdx.json. pip-audit comes from requirements-audit.lock, into var/audit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly DIR=${MARKETD_AUDIT_DIR:-var/audit}
readonly LOCKS=(requirements.lock requirements-build.lock requirements-dev.lock requirements-pages.lock requirements-audit.lock)

failed=0

not_audited() { # what was found before is not made good by it
    echo "audit.sh: *not audited*: $*" >&2
    ((failed == 0)) || exit 1
    exit 3
}

install_auditor() {
    local wanted
    wanted=$(sha256sum requirements-audit.lock)
    [[ -x $DIR/venv/bin/pip-audit && $(cat "$DIR/venv/.stamp" 2>/dev/null) == "$wanted" ]] && return
    .venv/bin/python -m venv --clear "$DIR/venv"
    "$DIR/venv/bin/python" -m pip --disable-pip-version-check install -qq --no-input --no-deps --require-hashes \
        -r requirements-audit.lock || return
    echo "$wanted" >"$DIR/venv/.stamp"
}

audit() { # audit LOCK: 0 nothing, 1 found; whatever is neither ends the script
    local report=$DIR/$1.json
    rm -f "$report"
    if "$DIR/venv/bin/pip-audit" --strict --disable-pip --require-hashes --progress-spinner off --requirement "$1" \
        --format json --output "$report" 2>"$DIR/$1.log"; then
        echo "audit.sh: $1: nothing is known to be wrong"
        return 0
    fi
    # Its exit code is the same for "found" and "could not ask"; what it asked stands in the report.
    [[ -s $report ]] || not_audited "$1: $(tail -n 1 "$DIR/$1.log")"
    .venv/bin/python - "$report" <<'PYTHON' && not_audited "$1: some packages were skipped, see $report"
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    packages = json.load(file)["dependencies"]
wrong = [(one["name"], one["version"], found["id"]) for one in packages for found in one.get("vulns", ())]
for name, version, known in sorted(wrong):
    print(f"audit.sh: {name} {version}: {known}")
sys.exit(bool(wrong))
PYTHON
    return 1
}

main() {
    local lock
    ./scripts/setup.sh --dev >&2 || not_audited "the Python environment cannot be made"
    mkdir -p "$DIR"
    .venv/bin/python scripts/sbom.py >"$DIR/sbom.cdx.json"
    echo "audit.sh: $(grep -c '"purl"' "$DIR/sbom.cdx.json") packages in $DIR/sbom.cdx.json"
    ./scripts/secrets.sh || failed=1
    install_auditor || not_audited "pip-audit cannot be installed"
    for lock in "${LOCKS[@]}"; do
        audit "$lock" || failed=1
    done
    exit "$failed"
}

main "$@" </dev/null
