#!/usr/bin/env bash
# The libraries for embedders build with every choice of features, and what a choice leaves out is not there.
set -euo pipefail
cd "$(dirname "$0")/.."

# check PACKAGE FEATURES: it builds with these alone, and its tests and examples with it.
check() {
    quietly cargo check --locked --quiet -p "$1" --no-default-features --features "$2" --all-targets
}

# quietly COMMAND...: it succeeds, and has nothing to say. Who depends on a crate by its path sees its warnings.
quietly() {
    local said
    if ! said=$("$@" 2>&1) || [[ -n $said ]]; then
        printf '%s\n' "$said" >&2
        return 1
    fi
}

for features in '' tls http uptane; do
    check countersign-client "$features"
done
check countersign-tokio ''

# new_project NAME EXAMPLE: a project of its own, as docs/embedding.md has it: the dependencies out of EXAMPLE.Cargo.toml,
# and EXAMPLE.rs as src/main.rs.
new_project() {
    local folder=${CARGO_TARGET_DIR:-target}/projects/$1
    rm -rf "$folder"
    mkdir -p "$folder/src"
    cp "$2.rs" "$folder/src/main.rs"
    cp Cargo.lock "$folder/"
    {
        printf '[package]\nname = "%s"\nedition = "2024"\n\n' "$1"
        cat "$2.Cargo.toml"
        # Nothing of ours is on crates.io.
        printf '\n[patch.crates-io]\n'
        sed -n "s|^\(countersign-[a-z-]* = { path = \"\)\([^\"]*\)\".*|\1$PWD/\2\" }|p" Cargo.toml
        # As in the workspace, whose builds of other people's crates then serve here too.
        printf '\n[workspace]\n\n'
        sed -n '/^\[profile\.dev\]/,$p' Cargo.toml
    } >"$folder/Cargo.toml"
    quietly cargo check --quiet --offline --manifest-path "$folder/Cargo.toml" --target-dir "${CARGO_TARGET_DIR:-target}"
}

new_project updater client-verifier/driver/examples/updater
new_project async-updater client-verifier/tokio/examples/async_updater
