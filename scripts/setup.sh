#!/usr/bin/env bash
# Installs what the Makefile's targets need, and only what is missing.
# Usage: scripts/setup.sh [toolchain|debian|python|tools|semver|peers|lists]...
# Without arguments: toolchain, debian, python and tools. `semver` is for scripts/semver.sh, `peers` for `make bench-peers`;
# `lists` renews the package lists.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly setup_dir=.setup
readonly rust_minimum=1.95.0
readonly cargo_deny_version=0.20.2
readonly cargo_semver_checks_version=0.51.0
readonly tuftool_version=0.17.0
# softhsm2: the PKCS#11 token of the tests and the demo. swtpm, libtpm2-pkcs11-1: a TPM in software and its PKCS#11 library,
# opencryptoki: another soft token, both for tests. openssl: makes foreign keys in tests. faketime: moves the clock of a
# client under test. cmake, g++, valgrind: programs in C and C++ over the C library; libssl-dev: one of them has its key in OpenSSL. postgresql: the director's tests, see postgres.sh. qemu-system-arm: the microcontroller of bare-metal.sh. shellcheck: checks the scripts of examples/. Firmware packages are only unpacked, see firmware.sh.
readonly debian_packages=(ca-certificates cmake faketime g++ gcc libc6-dev libssl-dev libtpm2-pkcs11-1 make opencryptoki openssl pkg-config
    postgresql qemu-system-arm shellcheck softhsm2 swtpm valgrind
    xz-utils zstd)

main() {
    mkdir -p "$setup_dir"
    local parts=("$@") part
    ((${#parts[@]})) || parts=(toolchain debian python tools)
    for part in "${parts[@]}"; do
        case "$part" in
            toolchain | debian | python | tools | semver | peers | lists) "setup_$part" ;;
            *) die "unknown part '$part': choose from toolchain, debian, python, tools, semver, peers, lists" ;;
        esac
    done
}

setup_toolchain() {
    if ! { command -v cargo && command -v rustc; } >/dev/null 2>&1; then
        die "no Rust toolchain found: install Rust $rust_minimum or newer, for example with rustup"
    fi
    local have
    have=$(rustc --version | awk '{print $2}')
    at_least "$have" "$rust_minimum" ||
        die "Rust $have is too old: this workspace needs $rust_minimum or newer ('rustup update')"
    local component
    for component in fmt clippy; do
        cargo "$component" --version >/dev/null 2>&1 && continue
        command -v rustup >/dev/null 2>&1 ||
            die "cargo $component is missing and there is no rustup to add it: install it with your toolchain"
        say "adding the Rust component for cargo $component"
        rustup component add "${component/#fmt/rustfmt}"
    done
}

setup_debian() {
    install_missing "${debian_packages[@]}"
}

setup_lists() {
    as_root apt-get update -qq || die "apt-get update failed: check the network and the package sources"
}

# The virtual environment holds exactly the pinned, hashed packages of requirements.txt.
setup_python() {
    command -v python3 >/dev/null 2>&1 || install_missing python3
    at_least "$(python3 -c 'import platform; print(platform.python_version())')" 3.11 ||
        die "Python 3.11 or newer is needed by the pinned packages; found $(python3 --version)"
    if ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then
        install_missing python3-venv
    fi
    say "making the Python environment of the interoperation tests"
    rm -rf "$setup_dir/venv"
    python3 -m venv "$setup_dir/venv"
    "$setup_dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --require-hashes --only-binary :all: -r tests/interop/requirements.txt
}

setup_tools() {
    setup_toolchain
    cargo_tool cargo-deny "$cargo_deny_version"
}

setup_semver() {
    setup_toolchain
    cargo_tool cargo-semver-checks "$cargo_semver_checks_version"
}

# Whom `make bench-peers` compares with: built for speed, as their users build them.
setup_peers() {
    setup_toolchain
    install_missing nginx-light
    local home=$setup_dir/peers
    if ! grep -qs "^\"tuftool $tuftool_version " "$home/.crates.toml"; then
        say "building tuftool $tuftool_version (ten minutes, once)"
        cargo install --quiet --locked --root "$home" --target-dir "$home/build" --version "$tuftool_version" tuftool
    fi
    say "building sigstore-tuf's client"
    cargo install --quiet --locked --root "$home" --target-dir "$home/build" --path benches/peers/sigstore-client
    rm -rf "$home/build"
}

# cargo_tool NAME VERSION: built into .setup/tools, unless that version is there.
cargo_tool() {
    local name=$1 version=$2 bin=$setup_dir/tools/bin/$1
    # Where cargo notes what it has installed.
    if [[ -x $bin ]] && grep -qs "^\"$name $version " "$setup_dir/tools/.crates.toml"; then
        return
    fi
    say "building $name $version (a few minutes, once)"
    # It runs for seconds: a quick build is worth more than a quick program.
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        cargo install --quiet --locked --root "$setup_dir/tools" --target-dir "$setup_dir/tools/build" \
        --version "$version" "$name"
    rm -rf "$setup_dir/tools/build"
}

# install_missing PACKAGE...: apt-get, as root or through sudo, never asking anything.
install_missing() {
    local missing=() package
    if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
        die "this is not a Debian-like system: install the equivalents of [$*] yourself, then 'touch $setup_dir/debian.stamp'"
    fi
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    say "installing ${missing[*]}"
    as_root apt-get update -qq || say "apt-get update failed; going on with the lists that are here"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
        die "apt-get could not install: ${missing[*]}"
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    elif command -v sudo >/dev/null 2>&1 && [[ -t 0 ]]; then
        sudo "$@"
    else
        die "needs root to run '$*': run it as root once, or make sudo available without a password"
    fi
}

# at_least HAVE WANT: true when version HAVE is WANT or newer.
at_least() {
    [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]
}

say() { printf 'setup: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

main "$@"
