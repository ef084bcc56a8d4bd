#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# NBD_CMD_CACHE is a prefetch: it returns at once, and what it asked for is then read without another request.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin
# The first request, when nbdkit starts, must pass; the rest waits at the gate.
start_nbdkit blocksize=64K readahead=0 url="$origin_url/pattern/16M?gate=g&at=8M"
client << 'END'
r = Reader()
assert r.h.can_cache()
r.h.cache(1000, 8 * MiB + 100)              # returns, though the server holds the answer back
END
origin_ctl "wait?gate=g&waiting=1"
origin_ctl "open?gate=g"
settle
before=$(count_requests)
expect_equal "requests for the block" "$(count_requests range=8388608-8454143)" 1
client << 'END'
r = Reader()
r.read(8 * MiB, 65536)
END
expect_equal "requests after the read" "$(count_requests)" "$before"

# Ranges over several blocks, and at the end of the image.
client << 'END'
r = Reader()
r.h.cache(300000, 1000000)
r.h.cache(10, 16 * MiB - 10)
expect_error(errno.EINVAL, r.h.cache, 10, 16 * MiB - 9)
r.read(1000000, 300000)
r.read(16 * MiB - 10, 10)
END
settle
blocks=$((1300000 / 65536 - 1000000 / 65536 + 1 + 1))
expect_equal "bytes for them" "$(($(origin_ctl "stat?key=sent") - 65536 * 2))" $((blocks * 65536))
# Asked for again, nothing is fetched.
client << 'END'
r = Reader()
r.h.cache(300000, 1000000)
r.read(1000000, 300000)
END
settle
expect_equal "bytes after all" "$(origin_ctl "stat?key=sent")" $(((blocks + 2) * 65536))
