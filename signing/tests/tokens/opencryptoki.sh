#!/usr/bin/env bash
# Runs a command with an opencryptoki of its own: a daemon and an empty soft token in slot 3.
# Usage: opencryptoki.sh COMMAND...
#
# opencryptoki has its folders compiled in and finds its daemon through shared memory. So the
# command gets namespaces of its own, in which those folders are empty. Where namespaces are not
# allowed (as in most containers), root uses the folders in place, if nobody else does.
set -euo pipefail

main() {
    command -v pkcsslotd >/dev/null || die "opencryptoki is missing; on Debian: apt-get install opencryptoki"
    local namespaces=(--mount --ipc --pid --fork --kill-child)
    ((EUID == 0)) || namespaces+=(--map-root-user)
    if unshare "${namespaces[@]}" mount -t tmpfs tmpfs /run 2>/dev/null; then
        exec unshare "${namespaces[@]}" "$0" --isolated "$@"
    fi
    in_place "$@"
}

isolated() {
    mount -t tmpfs -o mode=755 tmpfs /run
    mkdir -p /run/ock/etc /run/ock/lib/swtok/TOK_OBJ /run/lock/opencryptoki/swtok
    # Only members of this group may use it.
    sed 's/^pkcs11:.*/pkcs11:x:0:/' /etc/group >/run/ock/group
    printf 'version opencryptoki-3.1\nslot 3\n{\nstdll = libpkcs11_sw.so\n}\n' >/run/ock/etc/opencryptoki.conf
    mount --bind /run/ock/group /etc/group
    mount --bind /run/ock/etc /etc/opencryptoki
    mount --bind /run/ock/lib /var/lib/opencryptoki
    start_daemon
    "$@"
}

in_place() {
    ((EUID == 0)) || die "opencryptoki cannot be isolated: run this as root, or allow user namespaces"
    exec 9>/run/countersign-opencryptoki.lock
    flock 9
    if [[ -e /run/pkcsslotd.socket || -e /var/lib/opencryptoki/swtok/NVTOK.DAT ]]; then
        die "opencryptoki is in use on this machine and cannot be isolated: allow namespaces (in a container: --cap-add SYS_ADMIN)"
    fi
    mkdir -p /run/lock/opencryptoki/swtok
    trap clean_up EXIT
    start_daemon
    "$@" 9>&-
}

start_daemon() {
    pkcsslotd -f >/dev/null 2>&1 9>&- &
    daemon=$!
    local tries
    for ((tries = 0; tries < 500; tries++)); do
        [[ -S /run/pkcsslotd.socket ]] && return
        sleep 0.02
    done
    die "pkcsslotd does not start"
}

clean_up() {
    kill "$daemon" && wait "$daemon" || true
    rm -rf /var/lib/opencryptoki/swtok/{NVTOK.DAT,MK_SO,MK_USER} /var/lib/opencryptoki/swtok/TOK_OBJ/* \
        /run/pkcsslotd.socket /run/pkcsslotd.pid
}

die() {
    printf 'opencryptoki.sh: %s\n' "$*" >&2
    exit 1
}

if [[ ${1-} == --isolated ]]; then
    shift
    isolated "$@"
else
    main "$@"
fi
