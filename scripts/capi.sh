#!/usr/bin/env bash
# Installs the C library: headers, static and shared library, pkg-config file, CMake package and examples.
# Usage: scripts/capi.sh install PREFIX [LIBRARY]
#   PREFIX   where it is to be found, such as /usr/local; DESTDIR is put before it.
#   LIBRARY  a libcountersign.a that was built already; without it the release build is made.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly capi=client-verifier/capi

die() {
    printf 'capi: %s\n' "$*" >&2
    exit 1
}

[[ ${1-} == install && -n ${2-} ]] || die "usage: scripts/capi.sh install PREFIX [LIBRARY]"
prefix=$2 library=${3-}
[[ $prefix == /* ]] || die "PREFIX must be an absolute path, not '$prefix'"

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
IFS=. read -r major minor _ <<<"$version"
# Before 1.0 a minor version may break, and says so in its name.
if ((major == 0)); then abi=$major.$minor; else abi=$major; fi
unfinished=$(mktemp -d)
trap 'rm -rf "$unfinished"' EXIT

if [[ -z $library ]]; then
    cargo build --locked --release -p countersign-capi
    library=${CARGO_TARGET_DIR:-target}/release/libcountersign.a
fi
[[ -f $library ]] || die "$library does not exist: build it with 'cargo build -p countersign-capi'"

# What `rustc --print native-static-libs` lists for this crate on Linux with glibc.
static_libs=(-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc)

# Text in the place of marks. What stands for itself in a sed expression is escaped.
literal() { sed -e 's/[\\&|]/\\&/g' <<<"$1"; }
fill() {
    sed -e "s|@PREFIX@|$(literal "$prefix")|g" -e "s|@VERSION@|$version|g" -e "s|@ABI@|$abi|g" -e "s|@MAJOR@|$major|g" \
        -e "s|@MINOR@|$minor|g" -e "s|@STATIC_LIBS@|${static_libs[*]}|g" \
        -e "s|@STATIC_LIBS_CMAKE@|$(IFS=';'; printf '%s' "${static_libs[*]#-l}")|g" "$1" >"$2"
}

to=${DESTDIR-}$prefix
examples=$to/share/countersign/examples
mkdir -p "$to/include/countersign" "$to/lib/pkgconfig" "$to/lib/cmake/Countersign" "$examples"/{c,cpp}
install -m 644 "$capi"/include/countersign/countersign.h{,pp} "$to/include/countersign/"
install -m 644 "$capi"/examples/c/*.c "$examples/c/"
install -m 644 "$capi"/examples/cpp/* "$examples/cpp/"
install -m 644 "$library" "$to/lib/libcountersign.a"
# rustc cannot give a shared library's symbols a version; the linker can. It is that of the soname: programs that were
# linked with an older library of the same name find their symbols in a newer one.
fill "$capi/countersign.map" "$unfinished/map"
"${CC:-cc}" -shared -o "$to/lib/libcountersign.so.$version" \
    -Wl,-soname,"libcountersign.so.$abi" -Wl,--version-script="$unfinished/map" \
    -Wl,--gc-sections -Wl,-z,relro,-z,now -Wl,--no-undefined \
    -Wl,--whole-archive "$library" -Wl,--no-whole-archive "${static_libs[@]}"
ln -sfn "libcountersign.so.$version" "$to/lib/libcountersign.so.$abi"
ln -sfn "libcountersign.so.$abi" "$to/lib/libcountersign.so"

fill "$capi/countersign.pc.in" "$to/lib/pkgconfig/countersign.pc"
fill "$capi/cmake/CountersignConfig.cmake.in" "$to/lib/cmake/Countersign/CountersignConfig.cmake"
fill "$capi/cmake/CountersignConfigVersion.cmake.in" "$to/lib/cmake/Countersign/CountersignConfigVersion.cmake"
printf 'capi: installed Countersign %s below %s\n' "$version" "$to"
