#!/usr/bin/env bash
# Publishes the release that a list describes.
#
#   release.sh LIST                  stage, sign with the keys that are here, publish
#   release.sh --request FILE LIST   stage, sign, and write FILE for those who sign elsewhere
#   release.sh --attach FILE...      take in what they signed, and publish
#
# Exit codes are those of repo-tool: 0 done, 1 refused or failed, 2 wrong usage, 3 signatures are
# missing. It can be run again after any failure, and after it was killed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=examples/ci/common.sh
source "$here/common.sh"

usage() {
    say "usage: release.sh [--request FILE] LIST, or release.sh --attach FILE..."
    exit 2
}

main() {
    local request=''
    case ${1:-} in
        --attach)
            shift
            (($#)) || usage
            lock
            tool attach "$@"
            tool publish
            return
            ;;
        --request)
            (($# == 3)) || usage
            request=$2
            shift 2
            ;;
    esac
    if (($# != 1)) || [[ $1 == -* ]]; then
        usage
    fi
    lock
    check_list "$1"
    clear_stage
    stage
    tool diff
    tool sign
    if [[ -n $request ]]; then
        tool request --out "$request"
        # From here on it is theirs: the next release must not throw it away.
        rm -f "$ours"
    else
        tool publish
        rm -f "$ours"
    fi
}

# One release at a time, whatever the CI system does. repo-tool's own lock is held for one command
# only, and two lists must not mix.
lock() {
    exec 9>>"$COUNTERSIGN_REPO/.release-lock"
    flock --wait "${COUNTERSIGN_LOCK_WAIT:-600}" 9 || die "another release is running; try again when it is done"
}

# What an earlier run of this script has left behind is thrown away. What anybody else has staged is
# not, and it is not published either: nobody has reviewed it with this list.
clear_stage() {
    local roles=() staged status
    staged=$(staged_roles)
    [[ -z $staged ]] || mapfile -t roles <<<"$staged"
    status=$(tool --format json status) || die "$status"
    ours=$COUNTERSIGN_REPO/.release-staged
    if [[ -e $ours ]]; then
        ((${#roles[@]} == 0)) || tool discard "${roles[@]}"
    elif ((${#roles[@]})) && [[ $status != *'"published":[]'* ]]; then
        die "somebody has staged ${roles[*]}: see 'repo-tool diff', then publish it or 'repo-tool discard' it"
    fi
    : >"$ours"
}

main "$@"
