#!/usr/bin/env bash
# Prints, as Markdown, what publishing a release list would change.
#
#   review.sh LIST >review.md
#
# It works on a copy, needs no key, and only reads the repository.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=examples/ci/common.sh
source "$here/common.sh"

# A comment on GitHub holds 65536 characters.
readonly LONGEST=60000

main() {
    if (($# != 1)) || [[ $1 == -* ]]; then
        say "usage: review.sh LIST >review.md"
        exit 2
    fi
    check_list "$1"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    copy_repository
    stage >/dev/null
    tool diff >"$work/diff.txt"
    tool status | sed -n '/^staged:/,$p' >"$work/status.txt"
    printf '## What this release changes\n\n'
    block diff "$work/diff.txt"
    if [[ -s $work/status.txt ]]; then
        printf '\n## Who has to sign it\n\n'
        block text "$work/status.txt"
    fi
}

# The state without what is staged, so that the diff is against what is published; the public tree
# is out of the copy's reach. repo-tool's lock is shared meanwhile, so that no publish changes the
# state half-way through.
copy_repository() {
    exec 8<"$COUNTERSIGN_REPO/.countersign-lock"
    flock --shared --wait 60 8 || die "the repository is busy; try again"
    sed 's/^destination *=.*/destination = "published"/' "$COUNTERSIGN_REPO/repo.toml" >"$work/repo.toml"
    cp -R "$COUNTERSIGN_REPO/state" "$work/"
    # The first release publishes the staged root too.
    if [[ ! -e $work/state/metadata/timestamp.json ]]; then
        cp -R "$COUNTERSIGN_REPO/staged" "$work/"
    fi
    exec 8<&-
    COUNTERSIGN_REPO=$work
}

# block LANGUAGE FILE: no line of the file can end the block, because none consists of tildes only.
block() {
    printf '~~~~~~~~%s\n' "$1"
    sed 's/^  //' "$2" | head -c "$LONGEST"
    (($(wc -c <"$2") <= LONGEST)) || printf '\n... too long for this page, see the log'
    printf '\n~~~~~~~~\n'
}

main "$@"
