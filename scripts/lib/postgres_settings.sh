# shellcheck shell=bash
# How the private server is set up; sourced by timescaledb.sh. Memory follows the machine.

memory_mb() { # of this machine, or of the control group that holds us
    local total limit
    total=$(awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
    limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
    [[ $limit == max ]] || ((limit / 1048576 >= total)) || total=$((limit / 1048576))
    echo "$total"
}

between() { # between LOW VALUE HIGH
    echo $(($2 < $1 ? $1 : $2 > $3 ? $3 : $2))
}

server_settings() { # prints marketd.conf; reads SOCKETS, DIR and TEST
    local memory cores
    memory=$(memory_mb)
    cores=$(nproc)
    cat <<CONF
# Written at each start by scripts/timescaledb.sh; own settings belong into local.conf.
listen_addresses = '127.0.0.1'
unix_socket_directories = '$SOCKETS'
unix_socket_permissions = 0700
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
jit = off
# 361 weekly chunks, read by several sessions at once.
max_locks_per_transaction = 512
timezone = 'UTC'
log_timezone = 'UTC'
shared_buffers = $(between 64 $((memory / 4)) 8192)MB
effective_cache_size = $(between 128 $((memory / 2)) 65536)MB
maintenance_work_mem = $(between 32 $((memory / 16)) 1024)MB
work_mem = $(between 4 $((memory / 256)) 64)MB
max_wal_size = 2GB
max_worker_processes = $((cores + 16))
max_parallel_workers = $cores
log_line_prefix = '%m [%p] %q%a '
CONF
    if ((TEST)); then
        cat <<CONF
shared_buffers = 128MB
max_connections = 200
fsync = off
full_page_writes = off
# The scheduler would sit in the template database, and clones of it would fail.
timescaledb.max_background_workers = 0
CONF
    else
        cat <<CONF
timescaledb.max_background_workers = 8
logging_collector = on
log_directory = '$DIR/log'
log_filename = 'postgresql-%a.log'
log_rotation_size = 0
log_truncate_on_rotation = on
CONF
    fi
}
