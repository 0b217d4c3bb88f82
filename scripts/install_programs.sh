#!/usr/bin/env bash
# Sees to it that the programs are there which tests ask: a Chromium for pages, zsh and fish for completion.
#
#   scripts/install_programs.sh chromium|zsh|fish ...
#
# What is there is taken; for Chromium that is $FCNKIT_CHROMIUM, or chromium, chromium-browser,
# google-chrome or chrome in the path.  Root on Debian and its like gets Debian's packages for the
# rest; others are told.
set -euo pipefail

say() { echo "programs: $*" >&2; }

found() {
    local name names=("$1")
    if [ "$1" = chromium ]; then
        [ -n "${FCNKIT_CHROMIUM:-}" ] && [ -x "$FCNKIT_CHROMIUM" ] && return
        names+=(chromium-browser google-chrome chrome)
    fi
    for name in "${names[@]}"; do
        command -v "$name" >/dev/null && return
    done
    return 1
}

install() {
    local log
    log=$(mktemp)
    say "installing Debian's packages: $*"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1 || {
        tail -n 5 "$log" >&2
        say "they could not be installed; see above"
        exit 1
    }
    rm -f "$log"
}

missing=()
for name in "$@"; do
    found "$name" || missing+=("$name")
done

if [ ${#missing[@]} = 0 ]; then
    exit 0
elif command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    install "${missing[@]}"
else
    say "not found: ${missing[*]}; install them (or name a Chromium in FCNKIT_CHROMIUM)"
    exit 1
fi
