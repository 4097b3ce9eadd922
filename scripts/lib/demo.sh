# shellcheck shell=bash
# `start.sh demo`: a private database, the stand-in exchange and the daemon on loopback, all under var/demo/.

readonly READY_SECONDS=240 # tables, the first whole minute, and the last day's candles over REST

demo() {
    local pid
    use demo
    take_lock
    if pid=$(alive marketd) && [[ -n $(alive sandbox) ]]; then
        say "the demo already runs (pid $pid)"
        load_environment
    else
        stop_instance
        stop_process sandbox 10
        "$HERE/setup.sh" || fail 1 "the Python environment could not be made"
        forget_settings
        start_exchange
        rm -f "$RUN"/{environment,own-database}
        set_environment MARKETD_ENV_FILE=/dev/null MARKETD_CONFIG_FILE=/dev/null METRICS_PORT=0 \
            API_PORT=0 GRPC_PORT=0 BACKFILL_FROM=2d \
            "BINANCE_REST_URL=http://127.0.0.1:$EXCHANGE_PORT" "BINANCE_WS_URL=ws://127.0.0.1:$EXCHANGE_PORT/market" \
            "BINANCE_ARCHIVE_URL=http://127.0.0.1:$EXCHANGE_PORT/archive" \
            "BINANCE_ARCHIVE_LIST_URL=http://127.0.0.1:$EXCHANGE_PORT/archive-list" \
            "BINANCE_ALPHA_URL=http://127.0.0.1:$EXCHANGE_PORT"
        own_database
        load_environment
        migrate
        start_instance 0 --all
        load_environment
        await_ready
    fi
    describe
}

forget_settings() { # the demo is the same for everyone: no setting of the user reaches it
    local name
    while read -r name; do
        unset "$name" "${name}_FILE"
    done < <(sed -n 's/^#\([A-Z_]*\)=.*/\1/p' "$ROOT/.env.example")
    export MARKETD_ENV_FILE=/dev/null MARKETD_CONFIG_FILE=/dev/null
}

start_exchange() { # the stand-in exchange on a free port, which it prints; sets EXCHANGE_PORT
    local log=$STATE/log/sandbox.log deadline=$((SECONDS + START_SECONDS))
    : >"$log"
    cd "$ROOT" || return
    unset PYTHONSAFEPATH
    launch "$log" .venv/bin/python -m src sandbox --port 0
    remember sandbox "$LAUNCHED"
    EXCHANGE_PORT=
    until [[ -n $EXCHANGE_PORT ]]; do
        EXCHANGE_PORT=$(sed -nE 's#^.*http://127\.0\.0\.1:([0-9]+).*$#\1#p' "$log" | head -n 1)
        if [[ -z $EXCHANGE_PORT ]]; then
            alive sandbox >/dev/null || { tail -n 5 "$log" >&2 && fail 1 "the stand-in exchange did not start; see $log"; }
            ((SECONDS < deadline)) || fail 1 "the stand-in exchange has not come up for $START_SECONDS s; see $log"
            sleep 0.05
        fi
    done
}

await_ready() { # until the daemon answers that its data is fresh and the database takes writes
    local deadline=$((SECONDS + READY_SECONDS)) why
    say "waiting for the first whole minute ..."
    until why=$(marketd healthcheck 2>&1); do
        alive marketd >/dev/null || { tail -n 5 "$LOG" >&2 && fail 1 "the daemon died; see $LOG"; }
        ((SECONDS < deadline)) || fail 1 "not ready after $READY_SECONDS s: ${why#marketd: }; see $LOG"
        sleep 0.5
    done
}

pages() { # where they are served; the newest start stands last in the log
    sed -nE '/api_listening/s#^.*(http://127\.0\.0\.1:[0-9]+/).*$#\1#p' "$LOG" | tail -n 1
}

describe() {
    cat <<TEXT
The demo runs and its data is fresh. Everything is on this machine, under $STATE:
  pages      $(pages)  (and /docs for programs)
  exchange   http://127.0.0.1:${BINANCE_REST_URL##*:}  (a stand-in; candles are made up)
  database   127.0.0.1:$(<"$CLUSTER/port")  (scripts/start.sh psql)
  metrics    http://127.0.0.1:$METRICS_PORT/metrics  (also /healthz and /readyz)
  log        $LOG  (scripts/start.sh logs)
Look around with scripts/start.sh status; scripts/start.sh stop ends it.
TEXT
}
