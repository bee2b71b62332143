#!/usr/bin/env bash
# A PostgreSQL server for the tests: on loopback, with a password, and with nothing in it that anybody needs.
#
#   scripts/postgres.sh start    starts it, if need be, and prints its URL
#   scripts/postgres.sh pause    stops it, with what is in it kept
#   scripts/postgres.sh resume   starts it again, at the same address
#   scripts/postgres.sh stop     stops it and throws it away
#
# COUNTERSIGN_POSTGRES_NOTE names the file in which a further server is noted.
set -euo pipefail
cd "$(dirname "$0")/.."

# Where the server's folder is noted.
readonly note=${COUNTERSIGN_POSTGRES_NOTE:-.setup/postgres}

main() {
    case ${1:-} in
        start) start ;;
        pause) pause ;;
        resume) resume ;;
        stop) stop ;;
        *) die "usage: scripts/postgres.sh start|pause|resume|stop" ;;
    esac
}

start() {
    local folder
    if folder=$(running); then
        cat "$folder/url"
        return
    fi
    stop
    mkdir -p .setup
    # The server does not run as root, and the checkout may be where nobody else can read.
    folder=$(mktemp -d "${TMPDIR:-/tmp}/countersign-postgres.XXXXXX")
    echo "$folder" >"$note"
    local password port
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    port=$(free_port)
    echo "$password" >"$folder/password"
    echo "postgres://director:$password@127.0.0.1:$port/postgres" >"$folder/url"
    chmod 600 "$folder/password" "$folder/url"
    [ "$(id -u)" -ne 0 ] || chown -R postgres "$folder"
    as_server "$(tool initdb)" --pgdata="$folder/data" --username=director --pwfile="$folder/password" \
        --auth=scram-sha-256 --encoding=UTF8 --locale=C >"$folder/initdb.log" 2>&1 ||
        die "initdb failed: $(tail -n 3 "$folder/initdb.log")"
    echo "$port" >"$folder/port"
    launch "$folder"
    cat "$folder/url"
}

launch() {
    local folder=$1 port
    port=$(cat "$folder/port")
    as_server "$(tool pg_ctl)" --pgdata="$folder/data" --log="$folder/log" --wait --timeout=60 start \
        --options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200" \
        >/dev/null || die "the server does not start: $(tail -n 3 "$folder/log")"
}

pause() {
    as_server "$(tool pg_ctl)" --pgdata="$(cat "$note")/data" --mode=immediate stop >/dev/null
}

resume() {
    launch "$(cat "$note")"
}

stop() {
    local folder
    if folder=$(cat "$note" 2>/dev/null) && [ -d "$folder" ]; then
        as_server "$(tool pg_ctl)" --pgdata="$folder/data" --mode=immediate stop >/dev/null 2>&1 || true
        rm -rf "$folder"
    fi
    rm -f "$note"
}

# The folder of the server that runs; fails if none does.
running() {
    local folder
    folder=$(cat "$note" 2>/dev/null) && [ -d "$folder/data" ] &&
        as_server "$(tool pg_ctl)" --pgdata="$folder/data" status >/dev/null 2>&1 && echo "$folder"
}

as_server() {
    if [ "$(id -u)" -eq 0 ]; then
        (cd / && runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

# Debian keeps the server's tools out of the way.
tool() {
    local found=(/usr/lib/postgresql/*/bin/"$1")
    if [ -x "${found[-1]}" ]; then
        echo "${found[-1]}"
    else
        command -v "$1" || die "there is no $1: install Debian's package postgresql"
    fi
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

die() {
    printf 'postgres: %s\n' "$*" >&2
    exit 1
}

main "$@"
