#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# On a long link the blocks behind the first are asked for beside it, on connections of their own, before anybody reads
# them; every byte is asked for once, whatever comes of these scouts.  A short link, readahead=0 or a small image has none.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin

# asked QUERY PARAMETER...: reads an image of 1M + 5, whose first answer comes late enough for scouts to go, and verifies it.
asked ()
{
    local query=$1
    shift
    origin_ctl reset
    : > "$origin_log"
    start_nbdkit blocksize=64K "$@" url="$origin_url/pattern/1048581?$query"
    client << 'END'
Reader().read(0, MiB + 5)
END
    stop_nbdkit
}

slow_net FAKE_TRIP_US=40000
asked "delay=100&at=0"
for range in 0-65535 65536-131071 131072-196607 196608-262143; do
    expect_equal "requests for $range" "$(log_values request range | grep -cx "$range")" 1
done
# A scout that is refused, cut, answered short, redirected or late costs nothing but the scout.
asked "delay=100&at=0&status=503&at=64K&on=1"
asked "delay=100&at=0&cut=1000&at=128K&on=1"
asked "delay=100&at=0&short=1000&at=64K&on=1"
asked "delay=100&at=0&redirect=/pattern/7&at=64K&on=1"
asked "delay=100&at=0&new-etag&at=192K&on=1" || true

# Beyond the end there is nothing to scout.
start_nbdkit blocksize=64K url="$origin_url/pattern/70000?delay=100&at=0"
client << 'END'
Reader().read(0, 70000)
END
stop_nbdkit
asked "delay=100&at=0" readahead=0
expect_equal "scouts without readahead" "$(log_values request range | grep -cx 131072-196607 || true)" 0
slow_net
asked "delay=100&at=0"
expect_equal "scouts on a short link" "$(log_values request range | grep -cx 131072-196607 || true)" 0
