#!/usr/bin/env bash
# Runs the demo. The Makefile has built the commands and fetched the firmware.
# Everything the demo makes is in .demo/, which it clears first.
set -euo pipefail
cd "$(dirname "$0")/.."

softhsm_module() {
    local candidate
    for candidate in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so; do
        if [ -e "$candidate" ]; then
            echo "$candidate"
            return
        fi
    done
    echo "demo: SoftHSM2 is not installed; run 'make setup'" >&2
    return 1
}

COUNTERSIGN_PKCS11_MODULE=${COUNTERSIGN_PKCS11_MODULE:-$(softhsm_module)}
export COUNTERSIGN_PKCS11_MODULE
export COUNTERSIGN_DEMO_DIR=$PWD/.demo/stage
export SOFTHSM2_CONF=$PWD/.demo/softhsm2.conf
export COUNTERSIGN_FIRMWARE_DIR=${COUNTERSIGN_FIRMWARE_DIR:-$PWD/.setup/firmware}
export COUNTERSIGN_BIN_DIR=${COUNTERSIGN_BIN_DIR:-$PWD/target/debug}
mkdir -p .demo
exec "$COUNTERSIGN_BIN_DIR/countersign-demo"
