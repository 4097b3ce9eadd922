# shellcheck shell=bash
# One instance of marketd: its folders, its lock, starting, keeping and stopping it; sourced by start.sh.

STOP_SECONDS=${MARKETD_STOP_SECONDS:-45} # the daemon drains for 30 s
readonly START_SECONDS=60 # from the launch until the port is bound and the database was asked
readonly LOCK_SECONDS=600 # another start.sh may be fetching PostgreSQL
readonly STEADY_SECONDS=300
readonly MAX_BACKOFF=60
LOG_BYTES=${MARKETD_LOG_BYTES:-$((64 * 1024 * 1024))}
ROOT=$(cd "$HERE/.." && pwd)
VAR=$(realpath -m "${MARKETD_VAR:-$ROOT/var}")

use() { # use main|demo: sets the folders of that instance
    INSTANCE=$1
    STATE=$VAR
    [[ $INSTANCE == main ]] || STATE=$VAR/$INSTANCE
    RUN=$STATE/run
    LOG=$STATE/log/marketd.log
    CLUSTER=$STATE/timescaledb
}

take_lock() { # one start or stop of this instance at a time; the kernel frees it when we end
    (umask 077 && mkdir -p "$RUN" "$STATE/log") 2>/dev/null || fail 4 "cannot write to $STATE"
    [[ -w $RUN ]] || fail 4 "cannot write to $RUN"
    exec 9>"$RUN/lock"
    flock -w "$LOCK_SECONDS" 9 || fail 1 "another start.sh has been at work for $LOCK_SECONDS s"
}

drop_lock() { exec 9>&-; }

running() { # prints the pid of the daemon, or of its keeper between two runs
    alive marketd || alive keeper
}

marketd() { # one command of marketd with this instance's environment
    (cd "$ROOT" && unset PYTHONSAFEPATH && exec .venv/bin/python -m src "$@")
}

load_environment() { # the settings that this instance was started with
    local port
    [[ -f $RUN/environment ]] || return 0
    set -a
    # shellcheck source=/dev/null
    source "$RUN/environment"
    set +a
    # A secret's file beside the secret itself would be a second word on it.
    local name
    while IFS='=' read -r name _; do
        unset "${name}_FILE"
    done < <(grep -E '^[A-Z][A-Z0-9_]*=' "$RUN/environment")
    # METRICS_PORT may be 0: any free one. A standby announces 0 while the daemon it waits for has the port.
    ! { read -r _ port <"$RUN/announced"; } 2>/dev/null || export METRICS_PORT=$port
}

set_environment() { # set_environment NAME=VALUE...: adds to the file, which only this user can read; the daemon gets it
    local pair
    (
        umask 077
        for pair in "$@"; do
            printf '%s=%q\n' "${pair%%=*}" "${pair#*=}"
        done >>"$RUN/environment"
    )
    for pair in "$@"; do
        export "${pair?}"
    done
}

# --- starting -----------------------------------------------------------------------------------------------------

check_settings() { # check_settings WHAT_HAPPENED: writes environment.new; what runs is not touched by a mistake
    [[ $LOG_BYTES =~ ^[1-9][0-9]*$ ]] ||
        fail 6 "MARKETD_LOG_BYTES=$LOG_BYTES: takes a whole number of bytes, such as 67108864; $1"
    "$HERE/setup.sh" || fail 1 "the Python environment could not be made; $1"
    (umask 077 && marketd config --shell >"$RUN/environment.new") || {
        rm -f "$RUN/environment.new"
        fail 6 "$1"
    }
}

prepare() { # environment, settings, database, tables
    check_settings "nothing was started"
    rm -f "$RUN/announced"
    mv -f "$RUN/environment.new" "$RUN/environment"
    if grep -q '^DATABASE_URL=' "$RUN/environment"; then
        stop_database # a private one of an earlier start
    else
        own_database
    fi
    # The daemon reads .env, config.yaml and files of secrets by itself: exported, they would win over what is written
    # there when SIGHUP asks for it anew.
    (
        load_environment
        migrate
    )
}

own_database() { # a private cluster, which `stop` stops again
    touch "$RUN/own-database"
    "$HERE/timescaledb.sh" --data "$CLUSTER" up || fail 1 "no database: set DATABASE_URL to use one of your own"
    set_environment "DATABASE_URL=$("$HERE/timescaledb.sh" --data "$CLUSTER" url)"
}

migrate() {
    local code=0
    marketd migrate || code=$?
    case $code in
        0) ;;
        69) say "the database is away: starting anyway, candles wait in memory until it is back" ;;
        78) fail 6 "nothing was started" ;;
        *) fail 1 "the tables could not be brought up to date; nothing was started" ;;
    esac
}

start_instance() { # start_instance KEPT FLAG...
    local kept=$1
    shift
    rotate_log
    echo "$kept" >"$RUN/kept"
    printf '%s\n' "$@" >"$RUN/flags"
    rm -f "$RUN/announced" "$RUN/exit-code"
    if ((kept)); then
        launch "$LOG" "$HERE/start.sh" keep "$INSTANCE" "$@"
        remember keeper "$LAUNCHED"
    else
        launch_daemon "$@"
    fi
    await_start
}

launch_daemon() { # launch_daemon FLAG...
    # The daemon keeps its log bounded, too: it may run for months.
    export MARKETD_RUN_FILE=$RUN/announced MARKETD_LOG_FILE=$LOG MARKETD_LOG_BYTES=$LOG_BYTES
    cd "$ROOT" || return
    unset PYTHONSAFEPATH
    launch "$LOG" .venv/bin/python -m src "$@"
    remember marketd "$LAUNCHED"
}

rotate_log() {
    if [[ -f $LOG ]] && (($(stat -c %s "$LOG") > LOG_BYTES)); then
        mv -f "$LOG" "$LOG.1"
    fi
}

announced() { # the daemon writes "pid port" once the database let it in (or is away), or it waits as a standby
    local pid
    { read -r pid _ <"$RUN/announced"; } 2>/dev/null && [[ $pid == "$(alive marketd)" ]]
}

await_start() {
    local deadline=$((SECONDS + START_SECONDS)) code
    until announced; do
        if ! running >/dev/null; then
            code=$(cat "$RUN/exit-code" 2>/dev/null) || wait "$LAUNCHED" || code=$?
            rm -f "$RUN"/{marketd,keeper}.pid
            tail -n 5 "$LOG" >&2
            [[ $code != 78 ]] || fail 6 "it did not start: a setting is wrong; the log is $LOG"
            fail 1 "it did not start (exit code $code); the log is $LOG"
        fi
        ((SECONDS < deadline)) || fail 1 "it has not come up for $START_SECONDS s; look into $LOG"
        sleep 0.05
    done
}

# --- keeping ------------------------------------------------------------------------------------------------------

keep() { # keep INSTANCE FLAG...: runs the daemon until it ends by itself, is stopped, or must not be started again
    use "$1"
    shift
    local code backoff=1 began
    STOPPING=0 LAUNCHED='' TOLD=''
    trap 'STOPPING=1; tell_daemon' TERM INT
    trap '' HUP
    while :; do
        began=$SECONDS
        launch_daemon "$@"
        tell_daemon
        code=0
        await_daemon || code=$?
        echo "$code" >"$RUN/exit-code"
        rm -f "$RUN/marketd.pid"
        # 75: another instance has the lock, 78: a setting is wrong. Trying again would not help.
        if ((STOPPING || code == 0 || code == 75 || code == 78)); then
            break
        fi
        ((SECONDS - began < STEADY_SECONDS)) || backoff=1
        exec >>"$LOG" 2>&1 # the daemon may have begun a new one
        say "the daemon ended with $code; starting it again in $backoff s"
        sleep "$backoff" &
        wait $! || true # a signal ends the wait
        ((STOPPING == 0)) || break
        backoff=$((backoff * 2 > MAX_BACKOFF ? MAX_BACKOFF : backoff * 2))
    done
    rm -f "$RUN/keeper.pid"
    exit "$code"
}

tell_daemon() { # once for each daemon: the second signal would mean "at once"
    if ((STOPPING)) && [[ -n $LAUNCHED && $TOLD != "$LAUNCHED" ]] && birth "$LAUNCHED" >/dev/null; then
        TOLD=$LAUNCHED
        kill -TERM "$LAUNCHED" 2>/dev/null || true
    fi
}

await_daemon() { # its exit code; a wait that a signal interrupted is taken up again
    while birth "$LAUNCHED" >/dev/null; do
        wait "$LAUNCHED" 2>/dev/null || true # bash would report a killed child into the log
    done
    wait "$LAUNCHED"
}

# --- stopping and looking -----------------------------------------------------------------------------------------

stop_instance() { # the keeper, if there is one, passes the request on: asked twice, the daemon would not drain
    local name pid
    for name in keeper marketd; do
        if pid=$(alive "$name"); then
            kill -TERM "$pid" 2>/dev/null || true
            break
        fi
    done
    if ! await_death keeper "$STOP_SECONDS" || ! await_death marketd "$STOP_SECONDS"; then
        kill_instance
    fi
    rm -f "$RUN"/{keeper,marketd}.pid "$RUN/announced"
}

kill_instance() {
    local name pid
    say "it did not stop within $STOP_SECONDS s; killing it (what waited in memory is read again at the next start)"
    for name in keeper marketd; do
        if pid=$(alive "$name"); then
            kill -KILL "$pid" 2>/dev/null || true
        fi
    done
    if ! await_death keeper 10 || ! await_death marketd 10; then
        fail 1 "it does not die"
    fi
}

stop_database() { # the one that start brought up
    [[ -f $RUN/own-database ]] || return 0
    "$HERE/timescaledb.sh" --data "$CLUSTER" down
    rm -f "$RUN/own-database"
}

status_instance() { # 0 running, 1 dead with a pid file, 3 not running, 4 unknown
    local pid keeper
    [[ -e $RUN ]] || return 3
    [[ -d $RUN && -r $RUN && -x $RUN ]] || {
        echo "$(title): $RUN cannot be read"
        return 4
    }
    if pid=$(alive marketd); then
        keeper=$(alive keeper) && keeper=", restarted if it dies (keeper $keeper)" || keeper=
        echo "$(title) runs: pid $pid, since $(since "$pid")$keeper"
        (load_environment && marketd status) || true
        return 0
    fi
    if keeper=$(alive keeper); then
        echo "$(title) died and will be started again (keeper $keeper); the log is $LOG"
        return 1
    fi
    if [[ -e $RUN/marketd.pid || -e $RUN/keeper.pid ]]; then
        echo "$(title) is dead, its pid file is left; the log is $LOG"
        return 1
    fi
    return 3
}

title() { [[ $INSTANCE == main ]] && echo "marketd" || echo "marketd ($INSTANCE)"; }
