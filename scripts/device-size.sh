#!/usr/bin/env bash
# Says how large the device's command is, and fails where that is more than what devices were promised.
set -euo pipefail

MOST=4000000

size=$(stat -c %s "$1")
echo "$1: $size bytes"
if [ "$size" -gt "$MOST" ]; then
  echo "device-size: more than $MOST bytes; nm --size-sort -S --demangle of a build without strip says of what" >&2
  exit 1
fi
