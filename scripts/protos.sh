#!/usr/bin/env bash
# Write the Python stubs of src/api/protos/*.proto beside them. They are committed; with --check nothing is written, and it fails
# where they are not what would be written. Needs grpcio-tools of requirements-dev.lock; PYTHON names another interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly PYTHON=${PYTHON:-.venv/bin/python} HOME_OF=src/api/protos

check=""
case ${1:-} in
    "") ;;
    --check) check=1 ;;
    *)
        echo "usage: scripts/protos.sh [--check]" >&2
        exit 2
        ;;
esac

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
"$PYTHON" -m grpc_tools.protoc -I "$HOME_OF" --python_out="$made" --pyi_out="$made" --grpc_python_out="$made" "$HOME_OF"/*.proto
# The stubs import each other by bare name, which works only at the top of the path; here they are part of a package.
sed -i -E 's/^import ([a-z_]+_pb2) as /from . import \1 as /' "$made"/*_pb2_grpc.py

if [[ $check ]]; then
    for file in "$made"/*; do
        cmp "$file" "$HOME_OF/${file##*/}" || {
            echo "protos: $HOME_OF/${file##*/} is not what its .proto says; run scripts/protos.sh" >&2
            exit 1
        }
    done
else
    cp "$made"/* "$HOME_OF"/
fi
