#!/usr/bin/env bash
# Holds that listings in documents are the code that is built: behind a line `<!-- listing: FILE REGION -->` stands
# a fenced block with what is between `// region: REGION` and `// endregion: REGION` in FILE.
# Usage: scripts/listings.sh [--write] DOCUMENT...
set -euo pipefail
cd "$(dirname "$0")/.."

main() {
    local write=no status=0 document
    [[ ${1:-} == --write ]] && write=yes && shift
    (($#)) || die "usage: scripts/listings.sh [--write] DOCUMENT..."
    for document in "$@"; do
        local fresh
        fresh=$(mktemp)
        renew "$document" >"$fresh"
        if [[ $write == yes ]]; then
            cp "$fresh" "$document"
        elif ! diff -u --label "$document" --label "the sources" "$document" "$fresh" >&2; then
            status=1
        fi
        rm -f "$fresh"
    done
    ((status == 0)) || die "a listing is not the code any more: scripts/listings.sh --write DOCUMENT"
}

# renew DOCUMENT: the document with every listing as the sources have it now.
renew() {
    local line file region inside=no
    while IFS= read -r line; do
        if [[ $line =~ ^'<!-- listing: '([^ ]+)' '([^ ]+)' -->'$ ]]; then
            file=${BASH_REMATCH[1]} region=${BASH_REMATCH[2]}
            printf '%s\n```%s\n' "$line" "$(language "$file")"
            excerpt "$file" "$region"
            printf '```\n'
            inside=opening
        elif [[ $inside == opening ]]; then
            [[ $line == '```'* ]] && inside=block
        elif [[ $inside == block ]]; then
            [[ $line == '```' ]] && inside=no
        else
            printf '%s\n' "$line"
        fi
    done <"$1"
    [[ $inside == no ]] || die "$1: the block behind the last listing does not end"
}

# excerpt FILE REGION: the lines of a region, without what all of them are indented by.
excerpt() {
    local text
    text=$(awk -v from="// region: $2" -v to="// endregion: $2" '
        { stripped = $0; sub(/^ +/, "", stripped) }
        stripped == to { inside = 0 }
        inside { print }
        stripped == from { inside = 1; match($0, /^ */); indent = RLENGTH }
    ' "$1" | awk '{ lines[NR] = $0; match($0, /^ */); if (length($0) && (least == "" || RLENGTH < least)) least = RLENGTH }
        END { for (at = 1; at <= NR; at++) print substr(lines[at], least + 1) }')
    [[ -n $text ]] || die "$1 has no region $2"
    printf '%s\n' "$text"
}

language() {
    case "$1" in
        *.rs) echo rust ;;
        *.c | *.h) echo c ;;
        *.cpp | *.hpp) echo cpp ;;
        *.toml) echo toml ;;
        *) echo text ;;
    esac
}

die() {
    printf 'listings: %s\n' "$*" >&2
    exit 1
}

main "$@"
