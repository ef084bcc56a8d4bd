#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# A server that stops in the middle of a body, or says nothing at all, is given up after `timeout` seconds without a
# byte and asked again, from the byte it had reached; a slow one that keeps sending is not.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin
# stalled QUERY: a read of one block of 64K at 1M, whose transfer meets the fault.
stalled ()
{
    start_nbdkit blocksize=64K readahead=0 timeout="$time_factor" url="$origin_url/pattern/2M?$1&at=1M"
    client << 'END'
Reader().read(MiB, 65536)
END
    stop_nbdkit
}
at=$((1 << 20)) end=$(((1 << 20) + 65535))

stalled "stall=30000&times=1"
expect_equal "ranges after a stall" "$(log_values request range "query=stall=30000&times=1&at=1M" | tail -n +2 | xargs)" \
    "$at-$end $((at + 30000))-$end"
stalled "stall-header&times=1"
expect_equal "ranges after silence" "$(log_values request range "query=stall-header&times=1&at=1M" | tail -n +2 | xargs)" \
    "$at-$end $at-$end"
# Slow is not silent: 2000 bytes, 800 in a second, take more than twice the timeout.
start_nbdkit -D httpcache.http=1 -- blocksize=4K readahead=0 timeout=1 url="$origin_url/pattern/2000?rate=800"
client << 'END'
Reader().read(0, 2000)
END
stop_nbdkit
expect_no_text "errors" "$nbdkit_err" "for 1 seconds"

# A byte now and then is: a reader would wait for days.
start_nbdkit blocksize=64K readahead=0 timeout="$time_factor" retries=1 url="$origin_url/pattern/2M?drip=100&at=1114111"
client << 'END'
r = Reader()
expect_error(errno.EIO, r.h.pread, 512, MiB + 65024)
r.read(0, 512)                                  # held
END
expect_text "message" "$nbdkit_err" "fewer than 256 bytes a second for $time_factor seconds, after [1-9][0-9]* of .*tried 2 times"
