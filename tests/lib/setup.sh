# SPDX-License-Identifier: Apache-2.0
# Sourced by tests/run and tests/demo/run: root at once, then what is missing by apt-get.

# need_root COMMAND: every test needs namespaces, iptables and apt.
need_root() {
    if [ "$(id -u)" != 0 ]; then
        echo "$1 needs root: network namespaces, iptables, apt. Run: sudo $1" >&2
        exit 1
    fi
}

# has_mark MARK: a file that exists or a command that is found; of "A|B" one of them.
has_mark() {
    local mark
    for mark in ${1//|/ }; do
        case "$mark" in
        /*) [ -e "$mark" ] && return 0 ;;
        *) command -v "$mark" >/dev/null 2>&1 && return 0 ;;
        esac
    done
    return 1
}

# missing_packages CLASS...: names of packages whose mark is not there.
missing_packages() {
    local class name mark wanted=" $* "
    while read -r class name mark; do
        case "$wanted" in *" $class "*) ;; *) continue ;; esac
        has_mark "$mark" || echo "$name"
    done < <(grep -v '^#' "$LIB/packages")
}

# "A|B" is whichever this Debian has, A first.
apt_install() {
    DEBIAN_FRONTEND=noninteractive timeout 1200 apt-get satisfy -y -q --no-install-recommends \
        -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

# install_missing CLASS...: fails if something of build or test cannot be had; "more" may stay away.
install_missing() {
    local needed more
    needed=$(missing_packages $(printf '%s\n' "$@" | grep -v more))
    more=$(case " $* " in *" more "*) missing_packages more ;; esac)
    [ -n "$needed$more" ] || return 0
    if ! command -v apt-get >/dev/null; then
        [ -z "$needed" ] && return 0
        echo "Missing, and this is no Debian: $(echo $needed)" >&2
        return 1
    fi
    echo "Installing: $(echo $needed $more)"
    DEBIAN_FRONTEND=noninteractive timeout 300 apt-get update -q -o DPkg::Lock::Timeout=300 </dev/null ||
        echo "apt-get update failed; trying with the lists that are here" >&2
    if [ -n "$needed" ]; then
        apt_install $needed || { echo "Could not install: $(echo $needed)" >&2; return 1; }
    fi
    if [ -n "$more" ] && ! apt_install $more; then
        for name in $more; do
            apt_install "$name" || echo "Going on without $name" >&2
        done
    fi
    return 0
}

# compiler NAME: the compiler, through ccache where there is one.
compiler() {
    if command -v ccache >/dev/null; then echo "ccache $1"; else echo "$1"; fi
}

# configure DIR CC [meson options]: a build folder; one that no longer configures is made anew.
configure() {
    local dir=$1 cc=$2
    shift 2
    if [ -f "$dir/build.ninja" ]; then
        meson configure "$dir" "$@" >/dev/null && return 0
    fi
    rm -rf "$dir"
    CC="$(compiler "$cc")" meson setup "$dir" -Dbuildtype=debugoptimized "$@"
}
