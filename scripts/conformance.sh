#!/usr/bin/env bash
# Every test, vector and source file that docs/conformance.md names exists, and no row names nothing.
# shellcheck disable=SC2016  # The page has backticks around names.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C

page=docs/conformance.md
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
status=0

# missing WHAT: reports the names on standard input.
missing() {
    local name
    while read -r name; do
        echo "$page names $1 that is not there: $name" >&2
        status=1
    done
}

# Every test in the tree as `module::function`, by each part of its path, and as `function`.
find . \( -name target -o -name .git -o -name .setup \) -prune -o -name '*.rs' -print0 |
    xargs -0 awk '
        /#\[(tokio::)?test[\](]/ { due = 4 }
        due-- > 0 && match($0, /fn [a-z0-9_]+\(/) {
            name = substr($0, RSTART + 3, RLENGTH - 4)
            due = 0
            print name
            parts = split(FILENAME, part, "/")
            for (at = 2; at <= parts; at++) {
                sub(/\.rs$/, "", part[at])
                print part[at] "::" name
            }
        }' | sort -u >"$scratch/tests"

# The rows of the tables with tests: more than two cells, and not the header.
awk -F ' \\| ' '/^\| / && NF > 2 && $NF !~ /^(tests|---)/' "$page" >"$scratch/rows"
if awk -F ' \\| ' '$NF ~ /^[ -]*\|?$/' "$scratch/rows" | grep . >&2; then
    echo "$page has a row without a test or a reason" >&2
    status=1
fi
awk -F ' \\| ' '{ print $NF }' "$scratch/rows" >"$scratch/cells"
grep -oE '`[^`]+`' "$scratch/cells" | tr -d '`' | sort -u >"$scratch/named"
grep -E '/' "$scratch/named" >"$scratch/vectors" || true
grep -v / "$scratch/named" | grep _ | comm -23 - "$scratch/tests" >"$scratch/dangling" || true
missing 'a test' <"$scratch/dangling"
while read -r vector; do
    [ -f "test-vectors/vectors/$vector/case.json" ] || echo "$vector"
done <"$scratch/vectors" >"$scratch/dangling"
missing 'a vector' <"$scratch/dangling"

# `metadata/key.rs` is metadata/src/key.rs, and so on: the page says how.
grep -oE '`(metadata|verifier|driver|encryption|director|domain|ceremony)/[a-z0-9_/]+\.rs`' "$page" | tr -d '`' | sort -u |
    while read -r file; do
        crate=${file%%/*}
        case $crate in
            verifier) folder=client-verifier ;;
            driver) folder=client-verifier/driver ;;
            domain) folder=director/domain ;;
            ceremony) folder=key-ceremony ;;
            *) folder=$crate ;;
        esac
        [ -f "$folder/src/${file#*/}" ] || echo "$file"
    done >"$scratch/dangling"
missing 'a source file' <"$scratch/dangling"

exit $status
