# shellcheck shell=bash
# What the scripts share: checking a release list, and staging it. Sourced, never run.

# Tracing would print the environment of every command.
set +x
: "${COUNTERSIGN_REPO:?name the folder of the repository}"
export COUNTERSIGN_REPO
ARTIFACTS=${COUNTERSIGN_ARTIFACTS:-.}

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# Nobody is there to type a PIN.
tool() { repo-tool --no-prompt "$@"; }

# check_list LIST: every line is understood, every artifact is there and is the one that the list
# names. Nothing has been staged when this fails. What was read stays in `entries`: the list is not
# read again.
check_list() {
    local entry action rest line=0
    [[ -f $1 ]] || die "there is no release list $1"
    mapfile -t entries <"$1"
    for entry in "${entries[@]}"; do
        line=$((line + 1))
        read -r action rest <<<"$entry"
        case $action in
            '' | '#'*) ;;
            add) check_artifact "$1:$line" "$rest" ;;
            remove) [[ -n $rest ]] || die "$1:$line: write 'remove NAME'" ;;
            *) die "$1:$line: '$action' is not known; write 'add SHA256 FILE NAME' or 'remove NAME'" ;;
        esac
    done
}

# check_artifact PLACE 'SHA256 FILE NAME'
check_artifact() {
    local digest file name
    read -r digest file name <<<"$2"
    [[ $digest =~ ^[0-9a-f]{64}$ && -n $name ]] || die "$1: write 'add SHA256 FILE NAME'"
    [[ $file != /* && /$file/ != */../* ]] || die "$1: $file is not below the artifacts' folder"
    [[ -f $ARTIFACTS/$file ]] || die "$1: there is no $file in $ARTIFACTS"
    sha256sum --check --status <<<"$digest  $ARTIFACTS/$file" ||
        die "$1: $file is not the artifact that was reviewed: its SHA-256 is not $digest"
}

# Stages what the checked list says. The artifacts may have been swapped since: what counts is the
# hash of what repo-tool has copied.
stage() {
    local entry action rest digest file name
    for entry in "${entries[@]}"; do
        read -r action rest <<<"$entry"
        case $action in
            add)
                read -r digest file name <<<"$rest"
                tool target add --sha256 "$digest" --name="$name" -- "$ARTIFACTS/$file"
                ;;
            remove) remove "$rest" ;;
        esac
    done
}

# remove NAME: a target that is gone already is none to stop at, for a list may be run again.
remove() {
    local said
    if ! said=$(tool --format json target remove -- "$1"); then
        [[ $said == *'"name":"no-such-target"'* ]] || die "$said"
        say "there is no target $1 to remove"
    fi
}

# The staged roles other than root, which people stage and sign on their own.
staged_roles() {
    local diff
    diff=$(tool --format json diff) || die "$diff"
    grep -o '"role":"[^"]*"' <<<"$diff" | cut -d '"' -f 4 | grep -vx root || true
}
