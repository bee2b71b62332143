#!/usr/bin/env bash
# Fetches real firmware for the demo into .setup/firmware: one kernel image in two versions,
# U-Boot and OpenSBI, taken out of Debian packages. Packages are downloaded and unpacked,
# never installed. Writes MANIFEST: name, package, version, sha256, size (tab-separated).
set -euo pipefail
cd "$(dirname "$0")/.."

readonly firmware_dir=.setup/firmware
readonly cache_dir=.setup/packages
# Boot loader firmware per package: the files that a device maker would flash.
readonly u_boot_files=(qemu_arm64/u-boot.bin qemu-riscv64_smode/u-boot.bin)
readonly opensbi_files=(generic/fw_jump.bin generic/fw_dynamic.bin)

main() {
    mkdir -p "$firmware_dir" "$cache_dir"
    : >"$firmware_dir/MANIFEST.partial"

    local kernels old_kernel new_kernel
    kernels=$(two_newest_kernels)
    { read -r old_kernel && read -r new_kernel; } <<<"$kernels" ||
        retry_with_new_lists "the package lists hold no two kernel images of one series"
    add_kernel "$old_kernel" vmlinuz-old
    add_kernel "$new_kernel" vmlinuz-new

    local file
    for file in "${u_boot_files[@]}"; do
        add_file u-boot-qemu "*/u-boot/$file" "u-boot-${file%%/*}.bin"
    done
    for file in "${opensbi_files[@]}"; do
        add_file opensbi "*/opensbi/$file" "opensbi-${file##*/}"
    done

    mv "$firmware_dir/MANIFEST.partial" "$firmware_dir/MANIFEST"
    say "$(wc -l <"$firmware_dir/MANIFEST") files in $firmware_dir"
}

# Prints two package names, older first. The cloud flavour is preferred because it is small;
# both are of one series, so that they are two releases of one product.
two_newest_kernels() {
    local arch flavour names
    arch=$(dpkg --print-architecture)
    for flavour in "cloud-$arch" "$arch" generic; do
        names=$(apt-cache search --names-only "^linux-image-(unsigned-)?[0-9].*-$flavour(-unsigned)?\$" | awk '{print $1}')
        [[ -n $names ]] || continue
        # shellcheck disable=SC2086 # a list of package names
        apt-cache madison $names | awk -F' *[|] *' '{gsub(/ /, "", $1); print $2 "\t" $1}' | sort -V |
            awk -F'\t' '
                $1 in seen { next }
                { seen[$1] = 1; split($1, part, "."); series = part[1] "." part[2]
                  if (!(series in newest)) order[++count] = series
                  older[series] = newest[series]; newest[series] = $2 }
                END { for (i = 1; i <= count; i++) if (older[order[i]] != "") {
                        print older[order[i]] "\n" newest[order[i]]; exit } }'
        return
    done
}

candidate_version() {
    apt-cache madison "$1" | awk -F' *[|] *' 'NR == 1 {print $2}'
}

add_kernel() {
    add_file "$1" './boot/vmlinu?-*' "$2"
}

# add_file PACKAGE PATTERN NAME: takes the one file that matches out of the package and records it.
add_file() {
    local package=$1 pattern=$2 name=$3 version deb members
    version=$(candidate_version "$package")
    [[ -n $version ]] || retry_with_new_lists "package $package is not in the package lists"
    downloaded "$package" "$version"
    members=$(dpkg-deb --fsys-tarfile "$deb" | tar -t --wildcards -f - "$pattern" 2>/dev/null) || members=
    [[ -n $members && $(wc -l <<<"$members") == 1 ]] ||
        die "package $package $version should hold exactly one $pattern: update scripts/firmware.sh"
    dpkg-deb --fsys-tarfile "$deb" | tar -xO -f - "$members" >"$firmware_dir/$name"
    printf '%s\t%s\t%s\t%s\t%s\n' "$name" "$package" "$version" \
        "$(sha256sum "$firmware_dir/$name" | cut -d ' ' -f 1)" "$(stat -c %s "$firmware_dir/$name")" \
        >>"$firmware_dir/MANIFEST.partial"
}

# Downloads a package once and leaves the file's path in $deb. `apt-get download` needs no
# root and checks the bytes against the archive's signed index.
downloaded() {
    local package=$1 version=$2 debs
    deb=$cache_dir/${package}_${version//[:\/]/_}.deb
    if [[ ! -f $deb ]]; then
        say "fetching $package $version"
        local work=$cache_dir/partial.$package
        rm -rf "$work" && mkdir -p "$work"
        (cd "$work" && apt-get download -qq "$package=$version" >apt.log 2>&1) ||
            retry_with_new_lists "could not download $package: $(tail -n 1 "$work/apt.log")"
        debs=("$work"/*.deb)
        mv "${debs[0]}" "$deb"
        rm -rf "$work"
    fi
}

# The archive drops superseded packages, so old lists name files that are gone.
retry_with_new_lists() {
    [[ ${COUNTERSIGN_LISTS_RENEWED:-} != 1 ]] || die "$1"
    say "$1; renewing the package lists and trying once more"
    scripts/setup.sh lists
    COUNTERSIGN_LISTS_RENEWED=1 exec scripts/firmware.sh
}

say() { printf 'firmware: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

main "$@"
