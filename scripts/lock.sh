#!/usr/bin/env bash
# Rebuild the lock files: requirements.lock (what runs), requirements-dev.lock (what tests and checks need on top),
# requirements-build.lock (what builds packages that come as source), requirements-pages.lock (a Node for machines without
# one) and requirements-audit.lock (scripts/audit.sh, in an environment of its own). The packages of the pages are locked by `npm run lock` in web/.
#
#   scripts/lock.sh              keep the locked versions, add or remove what pyproject.toml changed
#   scripts/lock.sh --upgrade    take the newest versions
#
# More arguments go to pip-compile. The locks name no index host, no link folder and no path: the index is the one
# pip is told by PIP_INDEX_URL (or its default), and no other source of packages is read.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

./scripts/setup.sh --dev >&2

# A local folder of wheels or a second index would put hashes of files into the locks that nobody else can fetch.
unset PIP_FIND_LINKS PIP_EXTRA_INDEX_URL PIP_NO_INDEX
export PIP_CONFIG_FILE=/dev/null
export CUSTOM_COMPILE_COMMAND=scripts/lock.sh

lock() {
    local out=$1
    shift
    echo "lock.sh: $out" >&2
    # --no-build-isolation: metadata of packages that come as source is read with the locked build tools.
    .venv/bin/python -m piptools compile --quiet --generate-hashes --allow-unsafe --strip-extras \
        --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options --no-build-isolation \
        --annotation-style=line --no-config --output-file "$out" "$@"
}

lock requirements-build.lock requirements-build.in "$@"
# All three are installed into one environment: what two of them name has one version.
lock requirements.lock --constraint requirements-build.lock pyproject.toml "$@"
lock requirements-dev.lock --extra dev --constraint requirements.lock --constraint requirements-build.lock pyproject.toml "$@"
# pip-compile forgets for which machines a package is.
sed -i "s/^atheris==[^ ]*/& ; sys_platform == 'linux' and platform_machine == 'x86_64'/" requirements-dev.lock
lock requirements-pages.lock requirements-pages.in "$@"
lock requirements-audit.lock --constraint requirements-build.lock requirements-audit.in "$@"

if grep -nE '://|@ |/(home|root|tmp|opt|work)/' requirements*.lock; then
    echo "lock.sh: a lock names a host or a path (above); it must not" >&2
    exit 1
fi
