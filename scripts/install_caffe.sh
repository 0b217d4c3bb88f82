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
marker=.fcnkit-caffe-whole

. "$(dirname "${BASH_SOURCE[0]}")/bullseye.sh"

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
    find_suite deb
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
