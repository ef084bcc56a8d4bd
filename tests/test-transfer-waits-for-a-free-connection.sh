#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# When a connection takes longer to make than one in use takes to become free, a read waits for that one; but no longer
# than it would have waited for its own.  Meanwhile prefetch may have one made.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin
first=0-65535 read=8388608-8454143 hint=2097152-2162687

# open_image GATE COUNT [QUERY]: the first answer is held at GATE after COUNT bytes; three quarters of it have come.
open_image ()
{
    origin_ctl reset
    : > "$origin_log"
    local url="$origin_url/pattern/16M?gate=$1&gate-at=$2&on=1${3-}"
    if [ -n "${redirector-}" ]; then url="$redirector/pattern/16M?redirect=${url//&/%26}"; fi
    start_nbdkit -D httpcache.cache=1 -- connections=3 blocksize=64K readahead=0 url="$url"
    client << 'END'
Reader().read(0, 48 * KiB)
END
    start_client << 'END'
Reader().read(8 * MiB, 4096)
END
}

connection_of () { log_values request conn "range=$1"; }

# reuses_connection: the read gets that of the first answer.
reuses_connection ()
{
    # Handshakes take so long here that nothing of this depends on the clock.
    slow_net FAKE_TRIP_US=60000000
    open_image first 48K "&gate=hint&at=2M"
    await_text "$nbdkit_err" 'read 8388608\+4096 .* missed=1$'
    client << 'END'
Reader().h.cache(65536, 2 * MiB)
END
    origin_ctl "wait?gate=hint&waiting=1"           # so the fetcher has seen the read, too
    expect_equal "requests while the read waits" "$(log_values request range | xargs)" "$first $hint"
    origin_ctl "open?gate=first"
    wait "$client_pid"
    expect_equal "the read's connection" "$(connection_of $read)" "$(connection_of $first)"
    origin_ctl "open?gate=hint"
    stop_nbdkit
    expect_equal "connections" "$(log_values open conn | wc -l)" 2
}

reuses_connection

# own_connection GATE: the read gets it, while the first answer is held.
own_connection ()
{
    origin_ctl "wait?requests=2"
    wait "$client_pid"
    expect_equal "the second request" "$(log_values request range | sed -n 2p)" $read
    if [ "$(connection_of $read)" = "$(connection_of $first)" ]; then fail "both have the same connection"; fi
    origin_ctl "open?gate=$1"
    stop_nbdkit
}

# An answer that stays nearly done for ever.
slow_net FAKE_TRIP_US=50000
open_image stays 65535
own_connection stays

# A new connection costs next to nothing.
slow_net
open_image short 48K
own_connection short

# The connection to a server that redirected is of no use to anybody, and does not count.
redirector=$origin_url
start_origin
reuses_connection
