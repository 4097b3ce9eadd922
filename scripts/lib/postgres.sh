# shellcheck shell=bash
# Where PostgreSQL comes from and how its programs are started; sourced by timescaledb.sh.
#
# choose_postgres sets KIND (local or private), BIN (folder of the programs) and ROOT (private only): PostgreSQL >= 15
# with the timescaledb extension if this machine has it, else Debian's own build in a private root in the cache folder.
# run_postgres PROGRAM ARG... starts one of its programs; it never sees uid 0, and no system user is made.

readonly SUITE=trixie
readonly PACKAGE=postgresql-17-timescaledb

die() {
    echo "timescaledb.sh: $*" >&2
    exit 1
}

say() { echo "timescaledb.sh: $*" >&2; }

have() { # have PROGRAM...: all of them
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || return 1
    done
}

need_program() { # need_program PROGRAM PACKAGE
    have "$1" && return
    if ((EUID == 0)) && have apt-get; then
        say "installing the Debian package $2"
        { apt-get install -qq -y --no-install-recommends "$2" ||
            { apt-get update -qq && apt-get install -qq -y --no-install-recommends "$2"; }; } >/dev/null 2>&1 || true
    fi
    have "$1" || die "$1 is missing; on Debian or Ubuntu: apt-get install $2"
}

has_timescaledb() { # has_timescaledb BINDIR: PostgreSQL >= 15 there, with the extension
    local bin=$1 version share
    [[ -x $bin/postgres && -x $bin/initdb ]] || return 1
    version=$("$bin/postgres" --version | grep -oE '[0-9]+' | head -n 1)
    ((version >= 15)) || return 1
    for share in "/usr/share/postgresql/$version" "$bin/../share" "$bin/../share/postgresql"; do
        [[ -f $share/extension/timescaledb.control ]] && return
    done
    return 1
}

find_local() { # prints the program folder of the newest usable local PostgreSQL
    local bin
    {
        printf '%s\n' /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/pgsql/bin | sort -rV
        ! command -v postgres >/dev/null || dirname "$(readlink -f "$(command -v postgres)")"
    } | while read -r bin; do
        if has_timescaledb "$bin"; then
            echo "$bin"
            return
        fi
    done
}

choose_postgres() {
    BIN=$(find_local)
    if [[ -n $BIN ]]; then
        KIND=local
        ((EUID != 0)) || need_program bwrap bubblewrap
        return
    fi
    KIND=private
    local cache=${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/marketd
    ROOT=$cache/$PACKAGE-$SUITE-$(uname -m)
    BIN=/usr/lib/postgresql/17/bin
    need_program bwrap bubblewrap
    [[ -d $ROOT ]] || fetch_root "$cache"
}

fetch_root() { # into a folder beside ROOT, renamed when whole: a broken download never looks installed
    local cache=$1 part
    mkdir -p "$cache"
    exec 8<"$cache"
    flock 8
    if [[ ! -d $ROOT ]]; then
        part=$ROOT.part
        rm -rf "$part"
        say "fetching Debian's $PACKAGE (about 440 MB on disk) into $ROOT"
        extract_packages "$part" >"$ROOT.log" 2>&1 || {
            tail -n 5 "$ROOT.log" >&2
            die "$PACKAGE was not fetched; the whole report is in $ROOT.log"
        }
        mkdir -p "$part/etc"
        echo 'postgres:x:26:26:PostgreSQL:/:/bin/sh' >"$part/etc/passwd"
        echo 'postgres:x:26:' >"$part/etc/group"
        [[ -x $part$BIN/postgres ]] || die "$part has no PostgreSQL"
        mv -T "$part" "$ROOT"
    fi
    exec 8<&-
}

extract_packages() { # extract_packages DIR
    local include=$PACKAGE,dash,coreutils
    local -a source=("$SUITE" "$1" ${MARKETD_DEBIAN_MIRROR:+"$MARKETD_DEBIAN_MIRROR"})
    if ((EUID == 0)); then
        need_program mmdebstrap mmdebstrap
        mmdebstrap --variant=extract --include="$include" "${source[@]}"
    elif have mmdebstrap newuidmap && grep -qE "^($(id -un)|$EUID):" /etc/subuid; then
        # Written as a tar and unpacked by this user: the folder itself would belong to a uid of the map.
        mkdir -p "$1"
        source[1]=-
        mmdebstrap --mode=unshare --variant=extract --include="$include" "${source[@]}" |
            tar -x --no-same-owner --exclude=./dev -C "$1"
    else
        download_and_unpack "$1"
    fi
}

download_and_unpack() { # no root and no uid map: apt with a state of its own, then dpkg-deb -x
    local dir=$1 state=$1.apt mirror=${MARKETD_DEBIAN_MIRROR:-} deb
    have apt-get dpkg-deb ||
        die "needs mmdebstrap and uidmap, or apt-get and dpkg-deb; on Debian or Ubuntu: apt-get install mmdebstrap uidmap"
    # shellcheck disable=SC2016 # apt's own placeholders
    mirror=${mirror:-$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' |
        sed -n 's/^Debian //p' | grep -v -- -security | head -n 1)}
    [[ -n $mirror ]] || die "no Debian mirror is known here: name one in MARKETD_DEBIAN_MIRROR"
    rm -rf "$state"
    mkdir -p "$state"/{lists/partial,cache/archives/partial,etc} "$dir"
    : >"$state/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $SUITE main" >"$state/etc/sources.list"
    local -a apt=(apt-get -q -o "Dir::State=$state" -o "Dir::State::status=$state/status" -o "Dir::Cache=$state/cache"
        -o "Dir::Etc::sourcelist=$state/etc/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferencesparts=-
        -o Debug::NoLocking=1 -o APT::Install-Recommends=false -o APT::Sandbox::User= -o APT::Update::Error-Mode=any)
    # Called where `set -e` has no effect: every step says what happens when it fails.
    "${apt[@]}" update || return
    "${apt[@]}" install -y --download-only "$PACKAGE" dash coreutils || return
    for deb in "$state"/cache/archives/*.deb; do
        dpkg-deb -x "$deb" "$dir" || return
    done
    rm -rf "$state"
}

sandbox() { # sandbox PATH...: sets RUN to the command prefix that starts PostgreSQL with PATHs writable
    RUN=()
    if [[ $KIND == local && $EUID -ne 0 ]]; then
        return
    fi
    local path
    # Process ids are the machine's (no --unshare-pid): postmaster.pid can be signalled from outside.
    RUN=(bwrap --unshare-user --uid 26 --gid 26)
    if [[ $KIND == private ]]; then
        RUN+=(--ro-bind "$ROOT/usr" /usr --symlink usr/bin /bin --symlink usr/sbin /sbin --symlink usr/lib /lib
            --symlink usr/lib64 /lib64 --ro-bind "$ROOT/etc" /etc --dev-bind /dev /dev --bind /proc /proc --tmpfs /tmp)
    else
        RUN+=(--dev-bind / / --ro-bind "$DIR/passwd" /etc/passwd)
        echo 'postgres:x:26:26:PostgreSQL:/:/bin/sh' >"$DIR/passwd"
    fi
    for path in "$@"; do
        RUN+=(--bind "$path" "$path")
    done
    RUN+=(--chdir "$DIR" --)
}

run_postgres() { "${RUN[@]}" "$BIN/$1" "${@:2}"; }

run_psql() { run_client psql "$@"; }

run_client() { # run_client PROGRAM ARG...: on this machine's own files; private ones start through their own loader
    if [[ $KIND == local ]]; then
        "$BIN/$1" "${@:2}"
        return
    fi
    local loader
    loader=$(find "$ROOT/usr/lib" "$ROOT/usr/lib64" -maxdepth 2 -name 'ld-linux*.so.*' | head -n 1)
    "$loader" --library-path "$(dirname "$(find "$ROOT/usr/lib" -maxdepth 2 -name 'libpq.so.5')")" "$ROOT$BIN/$1" "${@:2}"
}
