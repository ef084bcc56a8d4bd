#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Readers that jump hold every connection, and more of them wait.  A connection that becomes free is the stream's next.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin
query=
for place in $(seq 8); do
    query+="${query:+&}gate=jump&at=$((place * 7 + 20))M"
done
start_nbdkit -D httpcache.cache=1 -D httpcache.readahead=1 -- blocksize=64K connections=4 readahead=64K url="$origin_url/pattern/128M?$query"

# A stream, eight jumps, of which four have connections, and then the stream goes on, beyond what was read ahead.
client << 'END'
r = Reader()
for block in range(8):
    r.read(block * 64 * KiB, 64 * KiB)
END
settle
start_client << 'END'
r = Reader()
for place in range(1, 9):
    r.start((place * 7 + 20) * MiB, 4096)
r.finish_all()
END
jumper=$client_pid
origin_ctl "wait?gate=jump&waiting=4"
start_client << 'END'
Reader().read(10 * 64 * KiB, 64 * KiB)
END
await_text "$nbdkit_err" 'read 655360\+65536 .* missed=1$'

expect_text "what the fetcher saw" "$nbdkit_err" 'readers jump: the queue is kept short'

# It has the first or the second connection that is let go.
origin_ctl "open?gate=jump&n=2"
await_text "$origin_log" '^request .* range=655360-'
wait "$client_pid"
origin_ctl "open?gate=jump"
wait "$jumper"
stop_nbdkit
