#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# What does not matter of an answer is not waited for: the page that a refusal or a redirect announces and does not send,
# and the end of a body that has brought all its bytes.  No timeout ends any of it here, and there is one connection.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin
# meets FAULTS [CODE]: a read at 1M, whose first answer has the faults, and what else the client does with it as r.
meets ()
{
    start_nbdkit blocksize=64K readahead=0 connections=1 timeout=0 retry-delay=0.01 url="$origin_url/pattern/4M?$1"
    client << END
r = Reader()
${2-r.read(MiB, 64 * KiB)}
r.read(2 * MiB, 64 * KiB)                       # the connection is free
END
    stop_nbdkit
}
fails='expect_error(errno.EIO, r.h.pread, 64 * KiB, MiB)'
for status in 401 403 404 416; do
    meets "status=$status&padding=100&stall=10&at=1M" "$fails"
done
meets "wrong-range&stall=10&at=1M" "$fails"
meets "status=503&padding=100&stall=0&at=1M&times=1"
meets "redirect=$(urlencode "$origin_url/pattern/4M?x-there")&padding=100&stall=10"
meets "chunked&no-last-chunk"
meets "long=100000&stall=65536"                 # behind what was asked for

# Nor when nbdkit starts.
expect_failure run_nbdkit true connections=1 timeout=0 url="$origin_url/pattern/4M?status=404&padding=100&stall=10" 2>/dev/null
expect_text "message" "$nbdkit_err" 'server answered 404 Not Found'
