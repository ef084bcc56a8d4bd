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
# A byte now and then is progress: 61 of them, one in 50 ms, take three times the timeout of a second.
start_nbdkit -D httpcache.http=1 -- blocksize=4K readahead=0 timeout=1 url="$origin_url/pattern/61?drip=50"
client << 'END'
Reader().read(0, 61)
END
stop_nbdkit
expect_no_text "errors" "$nbdkit_err" "no byte for"
