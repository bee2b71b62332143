#!/usr/bin/env bash
# The cron job: renews timestamp and snapshot in time, and says what it cannot renew.
#
# Exit codes are those of repo-tool, and 4: all is renewed that can be, but root or a targets role
# expires soon, which takes people.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=examples/ci/common.sh
source "$here/common.sh"

(($# == 0)) || {
    say "usage: refresh.sh"
    exit 2
}
tool refresh
status=$(tool status)
if soon=$(grep -E '\((near|expired)\)$' <<<"$status"); then
    say "these expire soon and are not renewed here:"
    printf '%s\n' "$soon" >&2
    exit 4
fi
