#!/usr/bin/env bash
# The libraries for embedders build with every choice of features, and what a choice leaves out is not there.
set -euo pipefail
cd "$(dirname "$0")/.."

# check PACKAGE FEATURES: it builds with these alone, and its tests and examples with it.
check() {
    cargo check --locked --quiet -p "$1" --no-default-features --features "$2" --all-targets
}

for features in '' tls http uptane; do
    check countersign-client "$features"
done
check countersign-tokio ''
