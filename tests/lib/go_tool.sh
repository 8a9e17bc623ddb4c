#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# go_tool.sh NAME MODULE VERSION: prints the path of a program written in Go, built with `go install MODULE@VERSION` the first time.
#
# Built programs are kept in OUTRIGGER_TEST_CACHE (default: outrigger-tests in the user's cache folder), one folder a version, so that
# a later run needs neither Go nor a network. Modules come from the Go module proxy and are checked against the checksum database, both
# as the Go command is configured. Exit status 1, with the reason in one line on stderr, when the program cannot be had.
#
# A Go older than NEEDED (Debian's may be) builds with a newer one, which comes from the same proxy as a module at a pinned version.
set -u
NEEDED=go1.26 TOOLCHAIN=v0.0.1-go1.26.8
name=${1:?NAME} module=${2:?MODULE} version=${3:?VERSION}
cache=${OUTRIGGER_TEST_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/outrigger-tests}
folder=$cache/go/$name@$version
fail() { echo "$name $version cannot be had: $*" >&2; exit 1; }

if [ -x "$folder/$name" ]; then
    echo "$folder/$name"
    exit 0
fi
go=$(command -v go || ls /usr/local/go/bin/go /usr/lib/go/bin/go 2>/dev/null | head -1)
[ -n "$go" ] || fail "there is no go"
mkdir -p "$folder" || fail "$folder cannot be made"
log=$folder/build.log bin=$(mktemp -d "$folder/build-XXXXXX") || fail "$folder is not writable"
trap 'rm -rf "$bin"' EXIT

newer_go() { # prints the path of a Go that is new enough, fetched if the one here is not
    local have arch module root
    have=$("$go" env GOVERSION)
    if [ "$(printf '%s\n' "$NEEDED" "$have" | sort -V | head -1)" = "$NEEDED" ]; then
        echo "$go"
        return
    fi
    arch=$("$go" env GOARCH)
    module=golang.org/toolchain@$TOOLCHAIN.linux-$arch
    root=$("$go" env GOMODCACHE)/$module
    if [ ! -x "$root/bin/go" ]; then
        (cd "$bin" && timeout 300 "$go" mod download "$module") >"$log" 2>&1 </dev/null || return
        chmod u+x "$root"/pkg/tool/*/* "$root"/bin/* || return # a module's files come without that right
    fi
    echo "$root/bin/go"
}
go=$(newer_go)
[ -n "$go" ] || fail "go is older than $NEEDED, and golang.org/toolchain: $(tail -1 "$log" | tr -s "\t " " ")"
# Two runs may build at the same time: each in a folder of its own, and the last rename wins with an equal file.
if ! GOBIN=$bin GOFLAGS=-modcacherw GOTOOLCHAIN=local timeout 300 "$go" install "$module@$version" >"$log" 2>&1 </dev/null; then
    fail "$(tail -1 "$log" | tr -s "\t " " ")"
fi
built=$(find "$bin" -type f | head -1)
[ -n "$built" ] || fail "go install made no program"
mv "$built" "$folder/$name" || fail "$folder/$name cannot be written"
echo "$folder/$name"
