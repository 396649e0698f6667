#!/bin/sh
# A small app: says what it was given, without giving it away.
set -eu

folder_in=${IEXEC_IN:-/iexec_in}
folder_out=${IEXEC_OUT:-/iexec_out}
# Whoever runs the app never sees these values. Never print them: the output becomes part of the result.
given() { if [ -n "$1" ]; then echo "given"; else echo "not given"; fi; }

{
    echo "Hello, ${*:-world}!"
    echo "developer's secret: $(given "${IEXEC_APP_DEVELOPER_SECRET:-}")"
    echo "requester's secret 1: $(given "${IEXEC_REQUESTER_SECRET_1:-}")"
    # Set without a dataset too: then there is no such file.
    dataset=$folder_in/${IEXEC_DATASET_FILENAME:-none}
    if [ -f "$dataset" ]; then
        echo "dataset: $(wc -c < "$dataset") bytes"
    fi
} > "$folder_out/result.txt"
printf '{"deterministic-output-path":"%s"}' "$folder_out/result.txt" > "$folder_out/computed.json"
