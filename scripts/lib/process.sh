# shellcheck shell=bash
# Processes by pid and start time; sourced by start.sh. RUN is the folder of the pid files.
#
# A pid file holds "pid starttime" (field 22 of /proc/PID/stat, clock ticks since boot). A pid that another program has
# by now, a zombie and a garbled file all count as dead, and a stranger is never signalled.

say() { echo "start.sh: $*" >&2; }

fail() { # fail CODE MESSAGE...
    local code=$1
    shift
    say "$*"
    exit "$code"
}

birth() { # birth PID: prints its start time; fails for the dead and for zombies
    local stat=''
    # read fails at the end of the file, after it has read; the name in parentheses may hold anything, even newlines.
    read -r -d '' stat 2>/dev/null <"/proc/$1/stat" || [[ -n $stat ]] || return 1
    local -a field
    read -ra field <<<"${stat##*) }"
    [[ ${field[0]} != [ZX] ]] || return 1
    echo "${field[19]}"
}

alive() { # alive NAME: prints the pid in NAME.pid if that very process lives
    local pid='' start='' rest='' content
    { content=$(tr -d '\0' <"$RUN/$1.pid"); } 2>/dev/null || return 1
    read -r pid start rest <<<"$content"
    [[ $pid =~ ^[1-9][0-9]{0,9}$ && $start =~ ^[0-9]+$ && -z $rest ]] || return 1
    [[ $(birth "$pid") == "$start" ]] || return 1
    echo "$pid"
}

remember() { # remember NAME PID, in one step: a reader never sees half a file
    echo "$2 $(birth "$2" || echo 0)" >"$RUN/.$1.$BASHPID"
    mv -f "$RUN/.$1.$BASHPID" "$RUN/$1.pid"
}

launch() { # launch LOG COMMAND...: in a session of its own with none of our files open; its pid is in LAUNCHED
    local log=$1
    shift
    (
        for fd in "/proc/$BASHPID/fd/"*; do
            fd=${fd##*/}
            ((fd <= 2)) || eval "exec $fd>&-"
        done
        exec setsid "$@" </dev/null >>"$log" 2>&1
    ) &
    # shellcheck disable=SC2034 # read by the callers
    LAUNCHED=$!
}

await_death() { # await_death NAME SECONDS: fails if it still lives then
    local deadline=$((SECONDS + $2))
    while alive "$1" >/dev/null; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

stop_process() { # stop_process NAME SECONDS: asks once (asking twice means "at once" to the daemon), then kills
    local pid
    if pid=$(alive "$1"); then
        kill -TERM "$pid" 2>/dev/null || true
        if ! await_death "$1" "$2"; then
            say "$1 (pid $pid) did not stop within $2 s; killing it"
            pid=$(alive "$1") && kill -KILL "$pid" 2>/dev/null
            await_death "$1" 10 || fail 1 "$1 (pid $pid) does not die"
        fi
    fi
    rm -f "$RUN/$1.pid"
}

since() { # since PID: when it was started, readable
    ps -o lstart= -p "$1" | sed 's/^ *//'
}
