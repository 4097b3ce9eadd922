#!/usr/bin/env bash
# Make .venv from the lock files. Nothing to do takes well under a second, so every other script may call it.
#
#   scripts/setup.sh          what runs marketd
#   scripts/setup.sh --dev    and what tests and checks need
#
# PYTHON names the interpreter to use (default: the first of python3, python3.11, python3.12 that is 3.11 or 3.12).
# Installs only what the locks name, by hash; pip's own settings (index, proxy, certificate) are honoured. The project
# itself is not installed: from a checkout it runs as `.venv/bin/python -m src`, and one identity per process is enough.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly VENV=.venv

say() { echo "setup.sh: $*" >&2; }
die() {
    say "$*"
    exit 1
}

package_hint() { # package_hint WHAT DEBIAN_PACKAGE...
    local what=$1
    shift
    die "$what is missing; on Debian or Ubuntu: apt-get install $*"
}

usable_python() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.11 python3.12}; do
        if usable_python "$candidate"; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    package_hint "Python 3.11 or 3.12${PYTHON:+ (PYTHON=$PYTHON is not one)}" python3.11
}

check_tools() { # what a first installation needs beyond Python itself: cryptofeed is built from source
    local python=$1 version
    version=$("$python" -c 'import sys; print("python3.%d" % sys.version_info[1])')
    "$python" -c 'import ensurepip, venv' 2>/dev/null || package_hint "Python's venv module" "$version-venv"
    command -v gcc >/dev/null || package_hint "gcc" gcc libc6-dev
    # yapic.json, which cryptofeed needs, has wheels for 3.11 only.
    [[ $version == python3.11 ]] || command -v g++ >/dev/null || package_hint "g++" g++
    echo '#include <stdio.h>' | gcc -fsyntax-only -x c - 2>/dev/null || package_hint "the C library's headers" libc6-dev
    "$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
        package_hint "Python's C header Python.h" "$version-dev"
}

stamp_is() { [[ -f $VENV/.stamp-$1 && $(<"$VENV/.stamp-$1") == "$2" ]]; }

digest() { cat "$@" | sha256sum | cut -d' ' -f1; }

venv_works() { [[ -x $VENV/bin/python ]] && usable_python "$VENV/bin/python" && "$VENV/bin/python" -c 'import pip' 2>/dev/null; }

pip_install() {
    "$VENV/bin/python" -m pip --disable-pip-version-check install -qq --no-input --no-deps --no-build-isolation "$@"
}

make_venv() {
    local python
    python=$(find_python)
    check_tools "$python"
    say "making $VENV with $python"
    "$python" -m venv --clear "$VENV"
}

install_locked() { # install_locked NAME DIGEST LOCK...
    local name=$1 wanted=$2 lock
    shift 2
    stamp_is "$name" "$wanted" && return
    venv_works || make_venv
    rm -f "$VENV/.stamp-$name"
    for lock in "$@"; do
        say "installing $lock"
        pip_install --require-hashes -r "$lock"
    done
    echo "$wanted" >"$VENV/.stamp-$name"
}

main() {
    local dev=0
    case "${1:-}" in
        --dev) dev=1 ;;
        "") ;;
        *) die "unknown argument $1 (known: --dev)" ;;
    esac
    # venv --clear would follow it and empty the folder it leads to.
    [[ ! -L $VENV ]] || die "$VENV is a symbolic link to $(readlink "$VENV"); remove the link, and setup.sh makes its own"
    # One installation at a time: the lock is on this file, so none is left behind.
    exec 9<scripts/setup.sh
    flock 9
    # A checkout that was moved or copied carries a .venv whose scripts name the old place.
    if [[ -e $VENV && $(cat "$VENV/.stamp-place" 2>/dev/null) != "$(pwd)" ]] || ! venv_works; then
        make_venv
        pwd >"$VENV/.stamp-place"
    fi
    install_locked runtime "$(digest requirements-build.lock requirements.lock)" requirements-build.lock requirements.lock
    ((dev == 0)) || install_locked dev "$(digest requirements-dev.lock)" requirements-dev.lock
    # The pages of the API. Without them everything else works, so a machine that has no Node still gets its environment.
    PYTHON=$VENV/bin/python ./scripts/pages.sh || say "going on without the pages"
}

main "$@"
