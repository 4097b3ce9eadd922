#!/usr/bin/env bash
# A private TimescaleDB, without Docker and without root.
#
#   scripts/timescaledb.sh up         start it (made on first use); harmless when it runs
#   scripts/timescaledb.sh down       stop it (--immediate: as if the machine lost power)
#   scripts/timescaledb.sh status     say what runs; exit code 3 when nothing does
#   scripts/timescaledb.sh url        print the connection string (--admin: the superuser's)
#   scripts/timescaledb.sh psql ...   open it; arguments are passed on
#   scripts/timescaledb.sh destroy    stop it and delete its data
#   scripts/timescaledb.sh fetch      only make sure that PostgreSQL is there
#
# With DATABASE_URL set (or in .env) that database is used and nothing is started, unless --private or --data is given.
# Options, before or after the command (for psql: before):
#   --data DIR          its folder (default: $MARKETD_VAR/timescaledb; MARKETD_VAR is var/ in the checkout)
#   --private           this cluster, whatever DATABASE_URL says
#   --test              a throw-away cluster for tests: fsync off, no background workers, 200 connections
#   --set NAME=VALUE    a server setting for this start (up only; may be repeated)
# It listens on 127.0.0.1 on a port it keeps and on a Unix socket. Own settings go into DIR/data/local.conf.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/postgres.sh
source "$HERE/lib/postgres.sh"
# shellcheck source=scripts/lib/postgres_settings.sh
source "$HERE/lib/postgres_settings.sh"

readonly START_SECONDS=300 # crash recovery after a kill replays up to max_wal_size
readonly STOP_SECONDS=60
SETTINGS=()
PRIVATE=0 TEST=0 ADMIN=0 STOP_SIGNAL=INT DIR=

usage() { sed -n '2,/^set /p' "${BASH_SOURCE[0]}" | sed -n 's/^# \{0,1\}//p'; }

# --- the folder ---------------------------------------------------------------------------------------------------

locate() {
    DIR=$(realpath -m "${DIR:-${MARKETD_VAR:-$HERE/../var}/timescaledb}")
    DATA=$DIR/data
    SOCKETS=$DIR/socket
    # A Unix socket's name has room for 107 bytes.
    if ((${#SOCKETS} > 85)); then
        SOCKETS=/tmp/marketd-$EUID-$(sha256sum <<<"$DIR" | cut -c1-16)
    fi
}

open_folder() { # also takes the lock: one up, down or destroy at a time
    mkdir -p "$DIR" "$SOCKETS"
    chmod 700 "$DIR" "$SOCKETS"
    exec 9<"$DIR"
    flock 9
}

postmaster_pid() { # prints the pid if this cluster's postmaster lives; a zombie or another program's pid does not count
    local pid
    pid=$(head -n 1 "$DATA/postmaster.pid" 2>/dev/null) || return 1
    [[ $pid =~ ^[0-9]+$ && $(readlink "/proc/$pid/cwd") == "$DATA" ]] || return 1
    echo "$pid"
}

ready() { [[ $(sed -n 8p "$DATA/postmaster.pid" 2>/dev/null) == ready* ]]; }

# --- making and starting ------------------------------------------------------------------------------------------

new_password() { # new_password FILE
    [[ -s $1 ]] || (umask 077 && head -c 64 /dev/urandom | base64 -w 0 | tr -dc 'A-Za-z0-9' | head -c 32 >"$1")
}

make_cluster() {
    [[ -f $DATA/PG_VERSION ]] && return
    new_password "$DIR/password"
    new_password "$DIR/admin-password"
    local -a locale=(--locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C)
    run_postgres initdb --help | grep -q builtin-locale || locale=(--locale=C.UTF-8)
    rm -rf "$DATA.new"
    run_postgres initdb --pgdata="$DATA.new" --username=postgres --pwfile="$DIR/admin-password" --encoding=UTF8 \
        --auth=scram-sha-256 --data-checksums --no-sync "${locale[@]}" >"$DIR/initdb.log" 2>&1 ||
        die "initdb failed: $(tail -n 3 "$DIR/initdb.log")"
    printf "include 'marketd.conf'\ninclude_if_exists 'local.conf'\n" >>"$DATA.new/postgresql.conf"
    sync -f "$DATA.new"
    mv -T "$DATA.new" "$DATA"
}

free_port() { # below the range outgoing connections get theirs from: it is still free when the server comes back
    python3 -c '
import random, socket
while True:
    try:
        print(socket.create_server(("127.0.0.1", random.randrange(20_000, 32_000))).getsockname()[1])
        break
    except OSError:
        pass'
}

port_is_free() {
    python3 -c 'import socket, sys; socket.create_server(("127.0.0.1", int(sys.argv[1])))' "$1" 2>/dev/null
}

launch() { # in a session of its own, with no file of the caller's open: it outlives this script
    (
        for fd in "/proc/$BASHPID/fd/"*; do
            fd=${fd##*/}
            ((fd <= 2)) || eval "exec $fd>&-"
        done
        cd /
        exec setsid "${RUN[@]}" "$BIN/postgres" -D "$DATA" -p "$1" "${SETTINGS[@]}" </dev/null >"$DIR/start.log" 2>&1
    ) &
    LAUNCHED=$!
}

await_ready() {
    local deadline=$((SECONDS + START_SECONDS))
    while ((SECONDS < deadline)); do
        if [[ -n $(postmaster_pid) ]] && ready; then
            return
        fi
        kill -0 "$LAUNCHED" 2>/dev/null || return 1
        sleep 0.03
    done
    return 1
}

start() {
    local port deadline=$((SECONDS + START_SECONDS))
    port=$(cat "$DIR/port" 2>/dev/null || true)
    server_settings >"$DATA/marketd.conf"
    # A pid that another program has by now would look like a running server to PostgreSQL.
    rm -f "$DATA/postmaster.pid"
    while ((SECONDS < deadline)); do
        [[ -n $port ]] && port_is_free "$port" || port=$(free_port)
        echo "$port" >"$DIR/port"
        launch "$port"
        await_ready && return
        # Worth another try: somebody took the port between the look and the start, or the last processes of a
        # server that was killed still hold its memory.
        port_is_free "$port" || continue
        grep -q 'is still in use' "$DIR/start.log" || break
        sleep 0.1
    done
    tail -n 5 "$DIR/start.log" >&2
    die "PostgreSQL did not start; see $DIR/start.log and $DIR/log"
}

connection() { # connection USER PASSWORD_FILE DATABASE: sets libpq's variables
    export PGHOST=127.0.0.1 PGPORT PGUSER=$1 PGPASSWORD PGDATABASE=$3
    PGPORT=$(<"$DIR/port")
    PGPASSWORD=$(<"$DIR/$2")
    unset PGSERVICE PGHOSTADDR PGPASSFILE PGSSLMODE
}

provide_database() { # the role, the database and the extension; all harmless when repeated
    connection postgres admin-password postgres
    # Whatever local.conf or --set made the default.
    export PGOPTIONS='-c default_transaction_read_only=off -c client_min_messages=warning'
    # The password reaches psql by standard input: a command line is for all to read.
    { printf "\\set password '%s'\n" "$(<"$DIR/password")" && cat "$HERE/lib/provide.sql"; } |
        run_psql -X -q -v ON_ERROR_STOP=1 -o /dev/null || die "the database could not be provided"
}

# --- commands -----------------------------------------------------------------------------------------------------

external_url() { # the database somebody named, if any
    local file=${MARKETD_ENV_FILE:-$HERE/../.env}
    ((PRIVATE)) && return
    if [[ -n ${DATABASE_URL:-} ]]; then
        echo "$DATABASE_URL"
    elif [[ -f $file ]]; then
        sed -nE "s/^(export +)?DATABASE_URL=[\"']?([^\"']*)[\"']?\$/\\2/p" "$file" | tail -n 1
    fi
}

up() {
    open_folder
    choose_postgres
    sandbox "$DIR" "$SOCKETS"
    if [[ -z $(postmaster_pid) ]]; then
        make_cluster
        start
    fi
    provide_database
    say "ready on 127.0.0.1:$(<"$DIR/port")"
}

fetch() { choose_postgres; }

down() {
    [[ -d $DIR ]] || return 0
    open_folder
    local pid deadline=$((SECONDS + STOP_SECONDS))
    pid=$(postmaster_pid) || return 0
    kill -s "$STOP_SIGNAL" "$pid"
    while [[ -n $(postmaster_pid) ]]; do
        ((SECONDS < deadline)) || die "process $pid did not stop within $STOP_SECONDS s"
        sleep 0.03
    done
}

status() {
    local pid
    if pid=$(postmaster_pid) && ready; then
        echo "running: pid $pid, 127.0.0.1:$(<"$DIR/port"), since $(date -d "@$(sed -n 3p "$DATA/postmaster.pid")"), data $DATA"
        return
    fi
    echo "not running: data $DATA"
    exit 3
}

url() {
    [[ -f $DIR/port ]] || die "no cluster in $DIR; make it with: scripts/timescaledb.sh up"
    local user=marketd file=password
    ((ADMIN)) && user=postgres file=admin-password
    echo "postgresql://$user:$(<"$DIR/$file")@127.0.0.1:$(<"$DIR/port")/marketd"
}

open_psql() {
    [[ -f $DIR/port ]] || die "no cluster in $DIR; make it with: scripts/timescaledb.sh up"
    choose_postgres
    local user=marketd file=password
    ((ADMIN)) && user=postgres file=admin-password
    connection "$user" "$file" marketd
    run_psql "$@"
}

destroy() {
    [[ -d $DIR ]] || return 0
    [[ -f $DATA/PG_VERSION || -z $(ls -A "$DIR") ]] || die "$DIR is not a cluster of this script; it is left alone"
    if [[ -t 0 ]]; then
        read -r -p "Delete the database in $DIR? Type yes: " answer
        [[ $answer == yes ]] || die "nothing was deleted"
    fi
    STOP_SIGNAL=QUIT down
    rm -rf "$DIR" "$SOCKETS"
}

external_psql() { # external_psql URL ARG...: the password goes by the environment; a command line is for all to read
    local url=$1 query='' kept='' item password=''
    if [[ $url =~ ^([a-z]+://[^:@/]*):([^@/]*)@(.*)$ ]]; then
        password=${BASH_REMATCH[2]}
        url=${BASH_REMATCH[1]}@${BASH_REMATCH[3]}
    fi
    if [[ $url == *\?* ]]; then
        query=${url#*\?}
        while IFS= read -r -d '&' item; do
            case $item in
                password=*) password=${item#*=} ;;
                *) kept+=${kept:+&}$item ;;
            esac
        done <<<"$query&"
        url=${url%%\?*}${kept:+?$kept}
    fi
    # What is left of a password with a raw @ or / would be looked for as a host, in everybody's sight.
    [[ ! ${url%%\?*} =~ @.*@|://[^@]*/.*@ ]] ||
        die "DATABASE_URL: a password with special characters must be percent-encoded"
    if [[ -n $password ]]; then
        password=${password//\\/\\\\}
        PGPASSWORD=$(printf '%b' "${password//%/\\x}")
        export PGPASSWORD
    fi
    psql -d "$url" "${@:2}"
}

external() { # external COMMAND URL ARG...: somebody else's database, which this script neither starts nor stops
    case $1 in
        url) echo "$2" ;;
        psql) need_program psql postgresql-client && external_psql "${@:2}" ;;
        *) say "DATABASE_URL names the database; nothing to do" ;;
    esac
}

main() {
    local command='' address
    local -a rest=()
    while (($#)); do
        case $1 in
            --data) DIR=${2:?--data needs a folder} PRIVATE=1 && shift ;;
            --private) PRIVATE=1 ;;
            --test) TEST=1 PRIVATE=1 ;;
            --admin) ADMIN=1 ;;
            --immediate) STOP_SIGNAL=QUIT ;;
            --set) SETTINGS+=(-c "${2:?--set needs NAME=VALUE}") && shift ;;
            -h | --help | help) usage && return ;;
            up | down | status | url | destroy | fetch) command=$1 ;;
            psql) command=psql rest=("${@:2}") && break ;;
            *) usage >&2 && exit 2 ;;
        esac
        shift
    done
    [[ -n $command ]] || { usage >&2 && exit 2; }
    locate
    address=$(external_url)
    if [[ -n $address ]]; then
        external "$command" "$address" "${rest[@]}"
    elif [[ $command == psql ]]; then
        open_psql "${rest[@]}"
    else
        "$command"
    fi
}

main "$@"
