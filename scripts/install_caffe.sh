#!/usr/bin/env bash
# Installs BVLC Caffe 1.0 (CPU, with pycaffe) from Debian 11 "bullseye" into a folder of its own.
#
#   scripts/install_caffe.sh [DIR]
#
# DIR is $FCNKIT_CAFFE, or fcnkit/caffe in the user's cache folder, when it is not given.  No root is
# needed, and the system's own packages are not touched.  A second run ends at once.
# FCNKIT_DEBIAN_MIRROR names the Debian mirror where apt's own sources name none that has bullseye.
set -euo pipefail

runtime=${1:-${FCNKIT_CAFFE:-${XDG_CACHE_HOME:-$HOME/.cache}/fcnkit/caffe}}
packages="python3-caffe caffe libopenblas0-pthread"
suite=bullseye
marker=.fcnkit-caffe-whole

say() { printf 'install_caffe: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

# The mirrors that apt knows, Debian's own archive first, each once.
mirrors() {
    if [ -n "${FCNKIT_DEBIAN_MIRROR:-}" ]; then
        echo "$FCNKIT_DEBIAN_MIRROR"
        return
    fi
    { deb822_mirrors; classic_mirrors; } | sed 's,/*$,,' | grep -v -e '^cdrom:' -e security | awk '!seen[$0]++' |
        awk '/debian/ { print; next } { later = later $0 "\n" } END { printf "%s", later }'
}

# URIs of the enabled "deb" stanzas of *.sources; a value may go on in indented lines.
deb822_mirrors() {
    local file
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -r "$file" ] || continue
        sed -e '/^#/d' "$file" | awk '
            function done_() { if (uris != "" && types ~ /(^| )deb( |$)/ && on) { n = split(uris, u, " ")
                               for (i = 1; i <= n; i++) print u[i] } types = uris = key = ""; on = 1 }
            BEGIN { on = 1 }
            /^[ \t]*$/ { done_(); next }
            /^[^ \t]/ { key = tolower($0); sub(/:.*/, "", key); sub(/^[^:]*:/, "") }
            { gsub(/[ \t]+/, " ") }
            key == "types" { types = types " " $0 }
            key == "uris" { uris = uris " " $0 }
            key == "enabled" && tolower($0) ~ /no|false/ { on = 0 }
            END { done_() }'
    done
}

# URIs of "deb [options] URI suite ..." lines.
classic_mirrors() {
    local file
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -r "$file" ] || continue
        sed -n -e 's/^[ \t]*deb[ \t][ \t]*\(\[[^]]*\][ \t]*\)\{0,1\}\([^ \t]*\).*/\2/p' "$file"
    done
}

# The keys that bullseye is signed with, where they are not among apt's trusted ones.
signed_by() {
    local keyring
    for keyring in /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/debian-archive-keyring.pgp; do
        [ -r "$keyring" ] && { echo "[signed-by=$keyring]"; return; }
    done
    return 0
}

private_apt() {
    local state=$work/apt
    local program=$1
    shift
    "$program" -q -o Dir::State="$state" -o Dir::State::lists="$state/lists" -o Dir::State::status="$state/status" \
        -o Dir::State::extended_states="$state/extended_states" -o Dir::Cache="$state/cache" \
        -o Dir::Cache::archives="$state/cache/archives" -o Dir::Log="$state/log" \
        -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferences=- \
        -o Dir::Etc::preferencesparts=- -o APT::Install-Recommends=false -o APT::Install-Suggests=false \
        -o APT::Sandbox::User="$(id -un)" -o APT::Default-Release= -o APT::Update::Error-Mode=any \
        -o APT::Get::List-Cleanup=false -o Debug::NoLocking=true "$@"
}

# The mirror that has the suite is in the private sources.list afterwards.
find_suite() {
    local mirror
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/apt/log"
    : >"$work/apt/status"
    for mirror in $(mirrors); do
        echo "deb $(signed_by) $mirror $suite main" >"$work/apt/sources.list"
        say "asking $mirror for Debian 11 ($suite)"
        if private_apt apt-get update >"$work/apt.log" 2>&1 && private_apt apt-cache show caffe >/dev/null 2>&1; then
            return
        fi
    done
    [ ! -s "$work/apt.log" ] || tail -n 5 "$work/apt.log" >&2
    fail "no mirror that apt knows has Debian 11 ($suite); name one that has it in FCNKIT_DEBIAN_MIRROR and try again"
}

fetch() {
    say "fetching Caffe 1.0 and what it needs (about 160 MB)"
    # shellcheck disable=SC2086
    private_apt apt-get install -y --download-only $packages >"$work/apt.log" 2>&1 || {
        tail -n 5 "$work/apt.log" >&2
        fail "the packages could not be fetched; see above"
    }
}

unpack() {
    local archive
    say "unpacking $(ls "$work"/apt/cache/archives/*.deb | wc -l) packages (about 650 MB)"
    for archive in "$work"/apt/cache/archives/*.deb; do
        dpkg -x "$archive" "$work/root"
    done
}

# A program of the runtime starts through the runtime's own loader, so that the two C libraries never mix.
wrapper() {
    local name=$1 program=$2
    mkdir -p "$work/root/bin"
    cat >"$work/root/bin/$name" <<END
#!/bin/sh
self=\$(readlink -f -- "\$0") || exit 127
root=\${self%/bin/*}
for loader in "\$root"/lib/*/ld-2.31.so; do :; done
triplet=\${loader%/*}; triplet=\${triplet##*/}
lib=\$root/usr/lib
unset LD_LIBRARY_PATH LD_PRELOAD PYTHONSTARTUP
PYTHONHOME=\$root/usr PYTHONPATH=\$lib/python3/dist-packages\${FCNKIT_PYTHONPATH:+:\$FCNKIT_PYTHONPATH} PYTHONNOUSERSITE=1
export PYTHONHOME PYTHONPATH PYTHONNOUSERSITE
exec "\$loader" --library-path "\$lib:\$lib/\$triplet/openblas-pthread:\$lib/\$triplet:\$root/lib/\$triplet" \\
    "\$root/usr/bin/$program" "\$@"
END
    chmod 755 "$work/root/bin/$name"
}

wrappers() {
    local tool
    for tool in caffe upgrade_net_proto_text upgrade_net_proto_binary upgrade_solver_proto_text \
        compute_image_mean convert_imageset extract_features; do
        wrapper "$tool" "$tool"
    done
    wrapper python python3.9
}

# Also leaves compiled Python modules behind, which makes every later start quicker.
check() {
    say "trying it"
    "$work/root/bin/caffe" --version >"$work/check.log" 2>&1 &&
        GLOG_minloglevel=2 "$work/root/bin/python" -c 'import caffe, caffe.io, google.protobuf.text_format' \
            >>"$work/check.log" 2>&1 || {
        tail -n 5 "$work/check.log" >&2
        fail "the runtime does not start; see above"
    }
}

main() {
    if [ -e "$runtime/$marker" ]; then
        say "Caffe is in $runtime"
        return
    fi
    [ ! -e "$runtime" ] || rmdir "$runtime" 2>/dev/null ||
        fail "$runtime exists and is not a whole Caffe runtime; remove it, or name another folder"
    command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
        fail "there is no apt here; Caffe's binaries come from Debian 11. On another system build Caffe with" \
            "pycaffe, or install a package of it, so that \"import caffe\" works"
    local parent
    parent=$(dirname "$runtime")
    mkdir -p "$parent" || fail "$parent cannot be made"
    work=$(mktemp -d "$parent/.caffe.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM HUP
    find_suite
    fetch
    unpack
    wrappers
    check
    echo "Caffe 1.0 from Debian 11" >"$work/root/$marker"
    chmod 755 "$work/root"
    if ! mv -T "$work/root" "$runtime" 2>/dev/null; then
        [ -e "$runtime/$marker" ] || fail "$runtime cannot be written"
    fi
    say "Caffe is in $runtime"
}

main
