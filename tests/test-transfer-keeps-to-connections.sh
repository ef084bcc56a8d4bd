#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Never more than `connections` connections to the server, however many clients read, however slow it is; and not one at
# a time either.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires nbdcopy

start_origin
for connections in 1 3; do
    origin_ctl reset
    start_nbdkit connections=$connections blocksize=64K url="$origin_url/pattern/16M?delay=0-20"
    pids=()
    for _ in 1 2 3 4; do
        nbdcopy "$nbd_uri" null: & pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid"; done
    expect_equal "most connections at a time" "$(origin_ctl "stat?key=max_open")" $connections
    stop_nbdkit
done

# At the gate: as many requests as may be wait there, and no more come while they do.
start_nbdkit connections=4 blocksize=64K readahead=0 url="$origin_url/pattern/32M?gate=g&after=1"
origin_ctl reset
start_client << 'END'
r = Reader()
for i in range(12):
    r.start((i * 40 + 20) * 65536, 65536)
r.finish_all()
END
origin_ctl "wait?gate=g&waiting=4"
expect_equal "requests under way" "$(origin_ctl "stat?key=in_progress")" 4
expect_at_most "connections at the gate" "$(origin_ctl "stat?key=max_open")" 4
origin_ctl "open?gate=g"
wait "$client_pid"
expect_at_most "connections in the end" "$(origin_ctl "stat?key=max_open")" 4
