#!/usr/bin/env bash
# Sees to it that there is a Chromium, in which the tests look at the pages of `fcnkit report`.
#
#   scripts/install_chromium.sh
#
# One that is there is taken: $FCNKIT_CHROMIUM, or chromium, chromium-browser, google-chrome or chrome
# in the path.  Otherwise root on Debian and its like gets the package chromium; others are told.
set -euo pipefail

say() { echo "chromium: $*" >&2; }

found() {
    [ -n "${FCNKIT_CHROMIUM:-}" ] && [ -x "$FCNKIT_CHROMIUM" ] && return
    local name
    for name in chromium chromium-browser google-chrome chrome; do
        command -v "$name" >/dev/null && return
    done
    return 1
}

install() {
    local log
    log=$(mktemp)
    say "installing Debian's package chromium (about 100 MB)"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install -y --no-install-recommends chromium; } >"$log" 2>&1 || {
        tail -n 5 "$log" >&2
        say "it could not be installed; see above"
        exit 1
    }
    rm -f "$log"
}

if found; then
    exit 0
elif command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    install
else
    say "there is none; install the package chromium, or name the program in FCNKIT_CHROMIUM"
    exit 1
fi
