#!/usr/bin/env bash
# Rules about who may depend on what that cargo-deny cannot say.
set -euo pipefail
cd "$(dirname "$0")/.."

status=0

# absent CRATE WHY CARGO-TREE-ARGUMENT...: CRATE must not be in the tree those arguments select.
absent() {
    local crate=$1 why=$2 tree
    shift 2
    tree=$(cargo tree --locked --quiet --prefix none --no-dedupe --format '{p}' "$@")
    if grep -q "^$crate v" <<<"$tree"; then
        printf "dependency rule broken: %s is in 'cargo tree %s': %s\n" "$crate" "$*" "$why" >&2
        status=1
    fi
}

shipped=(--workspace --edges 'normal,build')
absent aws-lc-rs 'one TLS and crypto provider (ring) in what we ship; test dependencies only' "${shipped[@]}"
absent openssl-sys 'no OpenSSL in what we ship' "${shipped[@]}"
absent tokio 'the client and its tools are blocking' -p countersign-client-cli --edges normal,build
absent clap 'a library for embedders parses no command line' -p countersign-client --edges normal,build
absent countersign-signing 'the verifier never sees a signer' -p countersign-client --edges normal,build
absent tokio 'the blocking client is blocking' -p countersign-client --all-features --edges normal,build
for what in ureq rustls serde_json tar hpke countersign-encryption; do
    absent "$what" 'who wants neither HTTP nor Uptane pays for neither' \
        -p countersign-client --no-default-features --edges normal,build
done
for what in ureq rustls; do
    absent "$what" 'a vehicle may have its own way of fetching' \
        -p countersign-client --no-default-features --features uptane --edges normal,build
done
absent hpke 'a TUF client decrypts nothing' -p countersign-client --no-default-features --features http --edges normal,build
absent ureq 'one HTTP library is enough' -p countersign-tokio --all-features --edges normal,build
absent hpke 'a TUF client decrypts nothing' -p countersign-tokio --all-features --edges normal,build
absent hyper 'who brings a fetcher pays for no other' -p countersign-tokio --no-default-features --edges normal,build
absent countersign-signing 'the verifier never sees a signer' -p countersign-tokio --all-features --edges normal,build
absent countersign-signing 'the verifier never sees a signer' -p countersign-verifier --edges normal,build
absent countersign-ceremony 'a repository does not know who holds its keys' -p countersign-repo --edges normal,build
absent countersign-repo 'vehicles and their director do not publish images' -p countersign-vehicle-sim --edges normal,build
absent countersign-client 'a director knows no device' -p countersign-director-domain --edges normal,build
absent countersign-repo 'vehicles and their director do not publish images' -p countersign-director-domain --edges normal,build
absent tokio 'what a director decides does no I/O' -p countersign-director-domain --edges normal,build
absent countersign-client 'ceremonies ask the verifier itself, without network or disk' -p countersign-ceremony --edges normal,build
absent countersign-client 'metadata flows to the verifier, to the driver: one way' -p countersign-verifier --edges normal,build
for ours in verifier client signing repo ceremony; do
    absent "countersign-$ours" 'encryption imports metadata only' -p countersign-encryption --edges normal,build
done
absent countersign-encryption 'keys are kept without knowing what they open' -p countersign-signing --edges normal,build
absent countersign-verifier 'metadata imports nothing of ours' -p countersign-metadata --edges normal,build
absent ring 'ring does not build on bare metal' \
    -p countersign-verifier --no-default-features --features rustcrypto,p256 --edges normal,build

exit $status
