#!/usr/bin/env bash
# Fuzzes one target after the other with libFuzzer, from seeds that are made of the test vectors.
# Usage: scripts/fuzz.sh SECONDS [TARGET...]     fuzz each target for so long
#        scripts/fuzz.sh seeds [TARGET...]       only run the seeds, with what cargo has built already
# What a target finds is kept in .setup/fuzz/TARGET/found, what it has learnt in .setup/fuzz/TARGET/corpus.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly home=.setup/fuzz
readonly all=(documents capi)
# Coverage instrumentation works on stable, where an explicit target keeps it away from build scripts.
readonly flags='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks'
# The vectors hold no longer file that says something new.
readonly limits=(-max_len=262144 -rss_limit_mb=2048 -timeout=20 -print_final_stats=1)

main() {
    local what=${1-}
    [[ $what =~ ^([0-9]+|seeds)$ ]] || { echo "usage: scripts/fuzz.sh SECONDS|seeds [TARGET...]" >&2; exit 2; }
    shift
    local targets=("$@") target bin
    ((${#targets[@]})) || targets=("${all[@]}")
    if [[ $what != seeds ]]; then
        local triple
        triple=$(rustc -vV | sed -n 's/^host: //p')
        RUSTFLAGS=$flags cargo build --locked --release -p countersign-fuzz --bins --target "$triple" --target-dir "$home/build"
        bin=$home/build/$triple/release
    else
        bin=${CARGO_TARGET_DIR:-target}/debug
    fi
    for target in "${targets[@]}"; do
        mkdir -p "$home/$target/corpus" "$home/$target/found"
        rm -rf "$home/$target/seeds"
        python3 fuzz/seeds.py "$target" "$home/$target/seeds"
        if [[ $what == seeds ]]; then
            # Without instrumentation: each seed is run once, and must not crash.
            "$bin/fuzz-$target" "${limits[@]}" -runs=0 "$home/$target/seeds" 2>"$home/$target/log" ||
                { tail -30 "$home/$target/log" >&2; exit 1; }
        else
            echo "==> fuzzing $target for $what s"
            "$bin/fuzz-$target" "${limits[@]}" -max_total_time="$what" -artifact_prefix="$home/$target/found/" \
                "$home/$target/corpus" "$home/$target/seeds"
        fi
    done
}

main "$@"
