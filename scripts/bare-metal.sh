#!/usr/bin/env bash
# The verifier on a microcontroller: builds the firmwares in bare-metal/, looks for panics in them, and runs
# them on an emulated Cortex-M4. The binary `bare-metal` of bare-metal/host has to be built before.
# Usage: scripts/bare-metal.sh [test|bench|sizes]
#   test   the gate: lints, no panic of ours, every vector of the scope in QEMU
#   bench  what the code and one update take, as a table
#   sizes  what the code of the device consists of
set -euo pipefail
cd "$(dirname "$0")/.."

readonly target=thumbv7em-none-eabihf
readonly out=${CARGO_TARGET_DIR:-target}/bare-metal
readonly host=${COUNTERSIGN_BIN_DIR:-${CARGO_TARGET_DIR:-target}/debug}/bare-metal

main() {
    has_target || return 0
    mkdir -p "$out"
    case "${1:-test}" in
        test) run_test ;;
        bench) run_bench ;;
        sizes) build device device,p256 && "$host" sizes "$out/device.elf" ;;
        *)
            printf "unknown part '%s': choose from test, bench, sizes\n" "$1" >&2
            return 2
            ;;
    esac
}

run_test() {
    firmware . clippy --quiet --bins --all-features -- -D warnings
    build device device,p256
    build vectors vectors
    "$host" panics "$out/device.elf"
    finds_planted_panics
    has_qemu || return 0
    "$host" vectors "$out/vectors.elf" --exceptions bare-metal/exceptions.toml
    "$host" measure --mixed "$out/device.elf" >"$out/measured.txt"
}

run_bench() {
    has_qemu || return 0
    build device device,p256
    build device-ed25519 device
    "$host" measure --mixed "$out/device.elf" --ed25519 "$out/device-ed25519.elf"
}

# build NAME FEATURES: the firmware of that name with these features, as $out/NAME.elf.
build() {
    firmware . build --quiet --bin "${1%%-*}" --no-default-features --features "$2"
    cp "$out/$target/release/${1%%-*}" "$out/$1.elf"
}

# firmware FOLDER COMMAND ARGUMENT...: cargo for bare-metal/ below FOLDER. Paths in panic locations are
# shortened, so that the size does not depend on where the sources are.
firmware() {
    local folder command=$2 cargo_home=${CARGO_HOME:-$HOME/.cargo}
    folder=$(cd "$1" && pwd)
    shift 2
    # Smaller and slower hashing, which a device has to ask for.
    local flags=("--remap-path-prefix=$folder/=" '--cfg=sha2_backend="soft"' '--cfg=sha2_backend_soft="compact"') registry
    for registry in "$cargo_home"/registry/src/*/; do
        flags+=("--remap-path-prefix=$registry=")
    done
    CARGO_ENCODED_RUSTFLAGS=$(printf '%s\x1f' "${flags[@]}" | sed 's/\x1f$//') \
        cargo "$command" --locked --release --manifest-path "$folder/bare-metal/Cargo.toml" \
        --target "$target" --target-dir "$out" "$@"
}

# The search for panics is worth something only if it finds them: in a copy of the sources with a panic in each of
# our crates it has to.
finds_planted_panics() {
    local copy=$out/planted
    if [[ ! -e $copy.elf || -n $(find metadata client-verifier bare-metal -newer "$copy.elf" -name '*.rs' -print -quit) ]]; then
        rm -rf "$copy"
        mkdir -p "$copy"
        tar -c --exclude=target Cargo.toml metadata client-verifier bare-metal | tar -x -C "$copy"
        plant "$copy/metadata/src/crypto.rs" 'backend::sha256(data)' 'let _ = data[data.len() / 2];'
        plant "$copy/client-verifier/src/image.rs" 'let result = self.measure.update(bytes);' 'let _ = bytes[7];'
        firmware "$copy" build --quiet --bin device --no-default-features --features device,p256
        cp "$out/$target/release/device" "$copy.elf"
    fi
    local found crate
    found=$("$host" panics "$copy.elf") && die "the search for panics finds none where there are two"
    for crate in metadata/src/crypto.rs client-verifier/src/image.rs; do
        grep -q "^$crate:" <<<"$found" || die "the search for panics has not found the one in $crate"
    done
}

# plant FILE LINE BEFORE: puts the statement BEFORE in front of LINE.
plant() {
    grep -qF "$2" "$1" || die "$1 has no line '$2' any more: plant the panic elsewhere"
    sed -i "s|^\( *\)\($2\)|\1#[allow(clippy::all)]\n\1$3\n\1\2|" "$1"
    grep -qF "$3" "$1" || die "no panic could be planted in $1"
}

has_target() {
    rustup target list --installed 2>/dev/null | grep -qx "$target" && return
    rustup target add "$target" 2>/dev/null && return
    echo "    skipped: 'rustup target add $target' does not work here"
    return 1
}

has_qemu() {
    command -v qemu-system-arm >/dev/null 2>&1 && return
    echo "    not run: there is no qemu-system-arm here (Debian's package of that name)"
    return 1
}

die() {
    printf 'bare-metal: %s\n' "$*" >&2
    exit 1
}

main "$@"
