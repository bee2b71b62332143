#!/usr/bin/env bash
# An S3 server for the tests: moto, on loopback, in memory. It takes any credentials.
#
#   scripts/moto.sh start    starts it, if need be, and prints its endpoint
#   scripts/moto.sh stop     stops it, and with it goes what it holds
set -euo pipefail
cd "$(dirname "$0")/.."

readonly note=.setup/moto                # where the server's folder is noted
readonly server=.setup/venv/bin/moto_server

main() {
    case ${1:-} in
        start) start ;;
        stop) stop ;;
        *) die "usage: scripts/moto.sh start|stop" ;;
    esac
}

start() {
    local folder
    if folder=$(running); then
        cat "$folder/url"
        return
    fi
    stop
    [ -x "$server" ] || die "there is no $server: 'make setup' installs it"
    folder=$(mktemp -d "${TMPDIR:-/tmp}/countersign-moto.XXXXXX")
    echo "$folder" >"$note"
    local port
    port=$(free_port)
    echo "http://127.0.0.1:$port" >"$folder/url"
    # Not a child that a pipe of ours waits for.
    setsid "$server" --host 127.0.0.1 --port "$port" >"$folder/log" 2>&1 </dev/null &
    echo $! >"$folder/pid"
    local tries
    for ((tries = 0; tries < 150; tries++)); do
        if answers "$port"; then
            cat "$folder/url"
            return
        fi
        kill -0 "$(cat "$folder/pid")" 2>/dev/null || break
        sleep 0.2
    done
    die "the server does not start: $(tail -n 3 "$folder/log")"
}

stop() {
    local folder
    if folder=$(cat "$note" 2>/dev/null) && [ -d "$folder" ]; then
        if is_ours "$folder"; then kill "$(cat "$folder/pid")"; fi
        rm -rf "$folder"
    fi
    rm -f "$note"
}

# The folder of the server that runs; fails if none does.
running() {
    local folder
    folder=$(cat "$note" 2>/dev/null) && is_ours "$folder" && echo "$folder"
}

# A process number is somebody else's after a while.
is_ours() {
    local pid
    pid=$(cat "$1/pid" 2>/dev/null) && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q moto_server
}

answers() {
    python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1)' "$1" 2>/dev/null
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

die() {
    printf 'moto: %s\n' "$*" >&2
    exit 1
}

main "$@"
