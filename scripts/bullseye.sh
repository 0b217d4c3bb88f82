# What the scripts share that take Caffe from Debian 11 "bullseye": an apt of its own in the folder $work, and words.
# FCNKIT_DEBIAN_MIRROR names the Debian mirror where apt's own sources name none that has bullseye.

suite=bullseye

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }
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

# The mirror that has the suite's packages ("deb") or sources ("deb-src") is in the private sources.list afterwards.
find_suite() {
    local kind=$1 mirror
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/apt/log"
    : >"$work/apt/status"
    for mirror in $(mirrors); do
        echo "$kind $(signed_by) $mirror $suite main" >"$work/apt/sources.list"
        say "asking $mirror for Debian 11 ($suite)"
        if private_apt apt-get update >"$work/apt.log" 2>&1 && has_caffe "$kind" >/dev/null 2>&1; then
            return
        fi
    done
    [ ! -s "$work/apt.log" ] || tail -n 5 "$work/apt.log" >&2
    fail "no mirror that apt knows has Debian 11 ($suite); name one that has it in FCNKIT_DEBIAN_MIRROR and try again"
}

has_caffe() {
    case $1 in
        deb) private_apt apt-cache show caffe ;;
        deb-src) private_apt apt-cache showsrc caffe ;;
    esac >/dev/null 2>&1
}
