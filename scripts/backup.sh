#!/usr/bin/env bash
# Back up the private TimescaleDB, and put it back. For a server of your own see docs/backup.md.
#
#   scripts/backup.sh dump FILE       all of it as one file (pg_dump, custom format); the daemon may run meanwhile
#   scripts/backup.sh restore FILE    into a cluster that `scripts/timescaledb.sh up` has just made, before any migration
#
#   --data DIR    the cluster's folder (default: $MARKETD_VAR/timescaledb; MARKETD_VAR is var/ in the checkout)
#
# The extension must have the same version on both sides. After a restore: `marketd migrate`, then start the daemon.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib/postgres.sh
source "$HERE/lib/postgres.sh"

usage() { sed -n '2,/^set /p' "${BASH_SOURCE[0]}" | sed -n 's/^# \{0,1\}//p'; }

connect() { # as the superuser: only it may set what TimescaleDB needs while tables are put back
    [[ -f $DIR/port ]] || die "no cluster in $DIR; make it with: scripts/timescaledb.sh up"
    export PGHOST=127.0.0.1 PGPORT PGUSER=postgres PGPASSWORD PGDATABASE=marketd
    PGPORT=$(<"$DIR/port")
    PGPASSWORD=$(<"$DIR/admin-password")
    unset PGSERVICE PGHOSTADDR PGPASSFILE PGSSLMODE
    choose_postgres
}

ask() { run_psql -X -q -A -t -v ON_ERROR_STOP=1 -c "$1"; }

dump() { # dump FILE: under another name until it is whole
    run_client pg_dump --format=custom --file="$1.part" || die "nothing was dumped"
    sync -f "$1.part"
    mv -T "$1.part" "$1"
    say "$1: $(stat -c %s "$1") bytes, TimescaleDB $(version), $(run_client pg_dump --version)"
}

version() { ask "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"; }

restore() { # restore FILE
    local tables
    [[ -r $1 ]] || die "$1 cannot be read"
    run_client pg_restore --list "$1" >/dev/null || die "$1 is no dump of pg_dump's custom format, or is damaged"
    tables=$(ask "SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE relkind IN ('r', 'p') AND nspname !~ '^(pg_|_timescaledb|timescaledb|information_schema)'")
    [[ $tables == 0 ]] || die "the database has $tables tables already; restore into a new cluster (--data DIR)"
    ask "SELECT timescaledb_pre_restore()" >/dev/null
    # The end is reached whatever happened, or the database would stay in this state.
    local failed=0
    run_client pg_restore --exit-on-error --dbname=marketd "$1" || failed=1
    ask "SELECT timescaledb_post_restore()" >/dev/null
    ((failed == 0)) || die "$1 was restored in part only; delete the cluster and make another"
    ask "ANALYZE" >/dev/null
    say "restored; now run: marketd migrate"
}

main() {
    local command='' file=''
    while (($#)); do
        case $1 in
            --data) DIR=${2:?--data needs a folder} && shift ;;
            -h | --help | help) usage && return ;;
            dump | restore) command=$1 file=${2:?$1 needs a file} && shift ;;
            *) usage >&2 && exit 2 ;;
        esac
        shift
    done
    [[ -n $command ]] || { usage >&2 && exit 2; }
    DIR=$(realpath -m "${DIR:-${MARKETD_VAR:-$HERE/../var}/timescaledb}")
    connect
    "$command" "$file"
}

main "$@"
