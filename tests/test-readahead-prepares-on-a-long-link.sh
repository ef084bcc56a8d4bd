#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# On a long link who reads more than the header will read the image: at each of the first three misses 2 MiB more of its
# front are fetched, behind what the scouts brought, and half of it before the first when a second read has to wait;
# readahead=SIZE bounds all.  A short link and readahead=0 have none.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin
# Of such blocks a missed one brings nothing that follows it, so all bytes can be counted.
mib=1048576 scouted=4

# open_image PATH PARAMETER...
open_image ()
{
    origin_ctl reset
    : > "$origin_log"
    start_nbdkit blocksize=1M "${@:2}" url="$origin_url/pattern/$1"
}

# The same on a long link, where the first answer is held until all scouts have gone.
open_far_image ()
{
    local opener
    origin_ctl reset
    : > "$origin_log"
    { origin_ctl "wait?requests=$scouted" && origin_ctl "open?gate=probe&n=1"; } & opener=$!
    slow_net FAKE_TRIP_US=40000
    start_nbdkit blocksize=1M "${@:2}" url="$origin_url/pattern/$1?gate=probe${body_gate:-}&at=0&on=1"
    wait "$opener"
}

# misses FIRST LAST: reads at places far from each other and from the front.
misses ()
{
    client "$@" << 'END'
r = Reader()
for place in range(int(sys.argv[1]), int(sys.argv[2]) + 1):
    r.read((place * 7 + 20) * MiB, 4096)
END
}

# front: how many MiB of the first 16 were asked for, and where the last ends; both are the same if it is all of them, once.
# Not the rest of one that is asked for again because it stays at the gate for too long.
front ()
{
    log_values request range | awk -F- -v mib=$mib '
        $1 < 16 * mib && $1 % mib == 0 { bytes += $2 + 1 - $1; if ($2 + 1 > end) end = $2 + 1 }
        END { print bytes / mib, end / mib }'
}

# expect_prepared MIB MIB MIB: at three misses that much more of the front is fetched, at others nothing.
expect_prepared ()
{
    local place have=$scouted
    for place in 1 2 3; do
        misses $place $place
        have=$((have + ${!place}))
        origin_ctl "wait?sent=$(((have + place) * mib))"
        expect_equal "MiB of the front after $place misses" "$(front)" "$have $have"
    done
    misses 4 6
    client $have << 'END'
Reader().read(0, int(sys.argv[1]) * MiB)
END
    settle
    expect_equal "MiB of the front in the end" "$(front)" "$have $have"
    stop_nbdkit
}

open_far_image 64M
expect_prepared 2 2 2
open_far_image 64M readahead=6M # beyond the first block
expect_prepared 2 1 0
scouted=2
open_far_image 64M readahead=1M
expect_prepared 0 0 0

# The probe's answer stays at 4096 bytes; the second of two reads waits there, but one alone does not tell.
scouted=4 body_gate="&gate-head&gate-at=4096"
for reads in 1 2; do
    open_far_image 64M
    start_client $reads << 'END'
r = Reader()
r.read(0, 112)
if sys.argv[1] == "2":
    r.start(500000, 24)
r.finish_all()
END
    origin_ctl "wait?sent=$(((reads == 2 ? 4 : 3) * mib))"
    origin_ctl "open?gate=probe&n=1"
    wait "$client_pid"
    settle
    expect_equal "MiB of the front after $reads waits" "$(front)" "$((reads + 3)) $((reads + 3))"
    stop_nbdkit
done

slow_net
open_image 64M
misses 1 6
stop_nbdkit
expect_equal "MiB of the front on a short link" "$(front)" "1 1"

slow_net FAKE_TRIP_US=40000
open_image 64M readahead=0
misses 1 6
stop_nbdkit
expect_equal "MiB of the front with readahead=0" "$(front)" "1 1"
