#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# ./quickstart without arguments: an image, a server, a convert, and figures that agree with what the server saw.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires qemu-img mkfs.ext4

# Also where a build in place has left more beside the sources than the image holds.
mkdir "$tmp/scratch" "$tmp/tree"
cp -r "$abs_top_srcdir"/{quickstart,scripts,tests,README,LICENSE} "$tmp/tree/"
mkdir -p "$tmp/tree/plugin/.libs"
cp "$abs_top_srcdir"/plugin/*.{cc,h} "$tmp/tree/plugin/"
for file in plugin/image.o plugin/.libs/libhttpcache.a tests/unit-tests; do
    head -c 50M /dev/urandom > "$tmp/tree/$file"
done
HTTPCACHE_BUILD=$abs_top_builddir TMPDIR=$tmp/scratch "$tmp/tree/quickstart" > "$tmp/out" 2> "$tmp/quickstart.err" ||
    fail "quickstart: $(cat "$tmp/quickstart.err")"
cat "$tmp/out"

expect_text "the result" "$tmp/out" '^  compared +Images are identical\.$'
expect_text "the seconds" "$tmp/out" '^  seconds +[0-9]+\.[0-9]+$'
expect_text "the bytes" "$tmp/out" '^  fetched +[1-9][0-9]+ bytes '
expect_text "the hits" "$tmp/out" '^  cache hits +[1-9][0-9]* of [1-9][0-9]* block reads$'
read -r requests seen < <(sed -nE "s/^  requests +([0-9]+) \(by the web server's own log: ([0-9]+)\)$/\1 \2/p" "$tmp/out")
expect_at_least "requests" "${requests:-0}" 1
expect_equal "requests by the server's log" "$seen" "$requests"
expect_equal "left in the temporary folder" "$(ls -A "$tmp/scratch")" ""
