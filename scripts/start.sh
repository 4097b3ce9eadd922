#!/usr/bin/env bash
# Run marketd on this machine.
#
#   scripts/start.sh start [FLAGS]    run it in the background (FLAGS for the daemon, default --all)
#   scripts/start.sh daemon [FLAGS]   the same, and start it again with backoff if it dies
#   scripts/start.sh stop             stop it (and the demo, and the private databases), within 45 s
#   scripts/start.sh restart          stop it, then start it as it was
#   scripts/start.sh status           what runs, since when, and how fresh the data is
#   scripts/start.sh logs [ARGS]      follow the log (ARGS for tail)
#   scripts/start.sh psql [ARGS]      open the database of what is running (ARGS for psql)
#   scripts/start.sh run COMMAND      a command of marketd with the settings and the database of what is running, in the
#                                     checkout's folder
#   scripts/start.sh demo             everything on loopback: a database, a stand-in exchange and the daemon
#
# The first run makes .venv. Without DATABASE_URL (environment, .env or config.yaml) a private TimescaleDB is brought
# up; tables are migrated before each start. State and logs are kept in var/; MARKETD_VAR names another folder.
# stop waits MARKETD_STOP_SECONDS (45) and then kills; nothing is lost that the next start does not read again.
# A log of MARKETD_LOG_BYTES (64 MiB) becomes marketd.log.1, while the daemon runs as well.
#
# Exit codes (LSB): 0 done; 1 failed; 2 wrong arguments; 4 no permission; 6 a setting is wrong; 7 not running.
# status: 0 running, 1 dead though it should run, 3 not running, 4 unknown.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/process.sh
source "$HERE/lib/process.sh"
# shellcheck source=scripts/lib/instance.sh
source "$HERE/lib/instance.sh"
# shellcheck source=scripts/lib/demo.sh
source "$HERE/lib/demo.sh"

usage() { sed -n '2,/^set /p' "${BASH_SOURCE[0]}" | sed -n 's/^# \{0,1\}//p'; }

begin() { # begin KEPT FLAG...: what start and daemon do
    local kept=$1 pid
    shift
    use main
    take_lock
    if pid=$(running); then
        say "already running (pid $pid)"
        return
    fi
    rm -f "$RUN"/{keeper,marketd}.pid
    prepare
    start_instance "$kept" "${@:---all}"
    say "started (pid $(running)); scripts/start.sh status shows how it is"
}

stop() {
    local name stopped=0
    for name in main demo; do
        use "$name"
        [[ -d $RUN ]] || continue
        take_lock
        ! running >/dev/null || stopped=1
        stop_instance
        stop_process sandbox 10
        stop_database
        drop_lock
    done
    if ((stopped)); then
        say "stopped"
    else
        say "not running"
    fi
}

restart() {
    use demo
    if running >/dev/null; then
        use main
        running >/dev/null ||
            fail 7 "only the demo runs; to restart it: scripts/start.sh stop, then scripts/start.sh demo"
    fi
    use main
    local kept=0
    local -a flags=()
    [[ ! -f $RUN/kept ]] || kept=$(<"$RUN/kept")
    [[ ! -f $RUN/flags ]] || mapfile -t flags <"$RUN/flags"
    take_lock
    check_settings "nothing was stopped"
    stop_instance
    drop_lock
    begin "$kept" "${flags[@]}"
}

status() {
    local name code worst=3
    for name in main demo; do
        use "$name"
        code=0
        status_instance || code=$?
        case $code in
            0) worst=0 ;;
            3) ;;
            *) ((worst == 0)) || worst=$code ;;
        esac
    done
    ((worst != 3)) || echo "marketd is not running"
    return "$worst"
}

use_running() { # the instance that runs, else fails with LSB's "not running"
    local name
    for name in main demo; do
        use "$name"
        ! running >/dev/null || return 0
    done
    fail 7 "not running; scripts/start.sh start or demo starts it"
}

logs() {
    local name
    for name in main demo; do
        use "$name"
        if running >/dev/null || [[ $name == demo && -f $LOG ]]; then
            break
        fi
    done
    [[ -f $LOG ]] || use main
    [[ -f $LOG ]] || fail 7 "there is no log yet: $LOG"
    (($#)) || set -- -n 100 -F
    exec tail "$@" "$LOG"
}

open_psql() {
    use_running
    load_environment
    local path="-c search_path=${KLINE_DB_SCHEMA:-market_data},public"
    if [[ -f $RUN/own-database ]]; then
        exec "$HERE/timescaledb.sh" --data "$CLUSTER" psql -d "options='$path'" "$@"
    fi
    PGOPTIONS=$path exec "$HERE/timescaledb.sh" psql "$@"
}

run() { # in the checkout, as the daemon: settings and arguments may name files relative to it
    (($#)) || { usage >&2 && exit 2; }
    use_running
    load_environment
    marketd "$@"
}

main() {
    local command=${1:-}
    (($# == 0)) || shift
    case $command in
        start) begin 0 "$@" ;;
        daemon) begin 1 "$@" ;;
        stop | restart | status | demo) (($# == 0)) || { usage >&2 && exit 2; } && "$command" ;;
        logs) logs "$@" ;;
        psql) open_psql "$@" ;;
        run) run "$@" ;;
        keep) keep "$@" ;; # the process behind `daemon`, not for people
        -h | --help | help) usage ;;
        *) usage >&2 && exit 2 ;;
    esac
}

main "$@"
