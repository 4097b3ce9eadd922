#!/usr/bin/env bash
# Make the secrets of compose.yaml, once: what is there stays.
#
# A container sees the file itself, with its owner: so files are readable for others, and the folder around them is not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

FOLDER=${1:-secrets}
(umask 077 && mkdir -p "$FOLDER")
umask 022

keep() { # keep NAME TEXT: write it unless it is there
    [[ -s $FOLDER/$1 ]] || printf '%s\n' "$2" >"$FOLDER/$1"
}

keep database-password "$(openssl rand -hex 24)"
keep database-url "postgresql://marketd:$(<"$FOLDER/database-password")@database:5432/market"
keep metrics-token "$(openssl rand -hex 24)"
keep api-tokens "owner admin $(openssl rand -hex 32)"
keep grafana-password "$(openssl rand -hex 16)"
echo "secrets.sh: they are in $(realpath "$FOLDER")"
