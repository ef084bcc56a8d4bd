#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Readahead: a sequential reader finds data before it asks, random readers cause nothing but what they read, readahead=0
# is off, readahead=SIZE is the most.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin

# asked_to: the end of the furthest range so far, in blocks of 64K.
asked_to ()
{
    log_values request range "$@" | awk -F- '$2 + 1 > most { most = $2 + 1 } END { print most / 65536 }'
}

# Sequential: the first 64 blocks of 512, in pieces of half a block.
sequential ()
{
    start_nbdkit blocksize=64K "$@"
    client << 'END'
r = Reader()
for i in range(128):
    r.read(i * 32768, 32768)
END
    settle
}

sequential readahead=0 url="$origin_url/pattern/32M?off_"
expect_equal "requests without readahead" "$(count_requests query=off_)" 64
expect_equal "furthest block without readahead" "$(asked_to query=off_)" 64
stop_nbdkit

sequential url="$origin_url/pattern/32M?auto_"
expect_at_least "furthest block with readahead" "$(asked_to query=auto_)" 66
expect_at_most "requests with readahead" "$(count_requests query=auto_)" 63
stop_nbdkit

sequential readahead=256K url="$origin_url/pattern/32M?few_"
expect_at_least "furthest block with readahead=256K" "$(asked_to query=few_)" 65
expect_at_most "furthest block with readahead=256K" "$(asked_to query=few_)" 68
stop_nbdkit

# Random: each block read is asked for, and nothing else.
start_nbdkit blocksize=64K url="$origin_url/pattern/1G?random_"
client << 'END'
import random
rng = random.Random(1)
r = Reader()
for block in rng.sample(range(100, 16384, 7), 100):
    r.read(block * 65536 + rng.randrange(60000), 4096)
END
settle
expect_equal "blocks fetched for random reads" \
    "$(log_values request range query=random_ | awk -F- '{ n += ($2 + 1 - $1) / 65536 } END { print n }')" 101
stop_nbdkit

# While the server holds back all that was prefetched, a read of something else is served: prefetch takes no last slot.
start_nbdkit blocksize=64K connections=2 readahead=0 \
    url="$origin_url/pattern/64M?gate=g&at=2M&gate=g&at=4M&gate=g&at=6M&gate=g&at=8M"
start_client << 'END'
r = Reader()
for i in 2, 4, 6, 8:
    r.h.cache(100, i * MiB)
END
origin_ctl "wait?gate=g&waiting=1"
wait "$client_pid"
client << 'END'
Reader().read(32 * MiB, 100000)
END
origin_ctl "open?gate=g"
client << 'END'
Reader().read(2 * MiB, 7 * MiB)
END
