#!/usr/bin/env bash
# Compares the public interface of the libraries with that of the last release, and refuses a change that
# their version does not announce.
set -euo pipefail
cd "$(dirname "$0")/.."

# Libraries that others build on. What is only there for the commands promises nothing.
readonly libraries=(
    metadata:countersign-metadata
    client-verifier:countersign-verifier
    client-verifier/driver:countersign-client
    client-verifier/tokio:countersign-tokio
    client-verifier/ecu-keys:countersign-ecu-keys
    encryption:countersign-encryption
    signing:countersign-signing
    repo-tool:countersign-repo
)

main() {
    local tag entry
    tag=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null || true)
    if [[ -z $tag ]]; then
        echo "    nothing is compared: there is no tag v* yet, so no release whose users could be hurt"
        return
    fi
    local packages=()
    for entry in "${libraries[@]}"; do
        if git cat-file -e "$tag:${entry%%:*}/Cargo.toml" 2>/dev/null; then
            packages+=(-p "${entry#*:}")
        else
            echo "    ${entry#*:} is new since $tag"
        fi
    done
    scripts/setup.sh semver
    cargo semver-checks --baseline-rev "$tag" "${packages[@]}"
}

main
