#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# A client that vanishes in the middle of a read disturbs nobody: the others read on, its block arrives and serves them,
# nbdkit lives and ends well.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin
start_nbdkit blocksize=64K readahead=0 connections=2 url="$origin_url/pattern/16M?gate=g&at=8M"

# Three clients wait for the same block; two of them are killed.
clients=()
for _ in 1 2 3; do
    start_client << 'END'
Reader().read(8 * MiB + 5, 60000)
END
    clients+=("$client_pid")
done
origin_ctl "wait?gate=g&waiting=1"
kill_client "${clients[0]}"
kill_client "${clients[2]}"
client << 'END'
Reader().read(0, 4 * MiB)                       # another is served meanwhile
END
origin_ctl "open?gate=g"
wait "${clients[1]}"
client << 'END'
Reader().read(8 * MiB, 65536)
END
expect_equal "requests for the block" "$(count_requests range=8388608-8454143)" 1

# All clients of a block go away, and one that comes later gets it.
origin_ctl "close?gate=g"
stop_nbdkit
start_nbdkit blocksize=64K readahead=0 connections=2 url="$origin_url/pattern/16M?gate=g&at=8M&"
# Each with one read: nbdkit before 1.34 dies by an assertion of its own when a client vanishes that has several replies
# to come on one connection ("raw_send_socket: Assertion `sock >= 0'", its commit 9d82aa4f), whatever the plugin.
start_client << 'END'
readers = [Reader() for _ in range(16)]
for i, r in enumerate(readers):
    r.start(8 * MiB + i, 10000)
for r in readers:
    r.finish_all()
END
origin_ctl "wait?gate=g&waiting=1"
kill_client "$client_pid"
start_client << 'END'
Reader().read(8 * MiB + 5, 60000)
END
client << 'END'
Reader().read(MiB, 100)
END
origin_ctl "open?gate=g"
wait "$client_pid"
