#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# What a round trip is paid for brings what follows too, while readers come back for it; readahead=SIZE bounds it, and
# readahead=0 and readers who never come back have none of it.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin

# longer: how many requests asked for more than one block of 256K.
longer () { log_values request range "$@" | awk -F- '$2 + 1 - $1 > 262144 { n++ } END { print n + 0 }'; }
longest () { log_values request range "$@" | awk -F- '$2 + 1 - $1 > most { most = $2 + 1 - $1 } END { print most + 0 }'; }

# Twelve places far apart, at each of which two blocks are read.  The delay is the round trip.
returning ()
{
    start_nbdkit "$@"
    client << 'END'
r = Reader()
for place in range(12):
    for block in range(2):
        r.read((place * 50 + 9) * MiB + block * 262144 + 4096, 4096)
END
    settle
    stop_nbdkit
}

returning url="$origin_url/pattern/1G?delay=200&auto_"
expect_at_least "requests for more than a block" "$(longer query~auto_)" 8
expect_equal "bytes of the longest" "$(longest query~auto_)" 786432

returning readahead=256K url="$origin_url/pattern/1G?delay=200&few_"
expect_equal "bytes of the longest with readahead=256K" "$(longest query~few_)" 524288

returning readahead=0 url="$origin_url/pattern/1G?delay=20&off_"
expect_equal "requests for more than a block with readahead=0" "$(longer query~off_)" 0

# The first eight are given a chance, then one in sixteen.
start_nbdkit url="$origin_url/pattern/1G?delay=20&random_"
client << 'END'
import random
r = Reader()
for place in random.Random(1).sample(range(4, 1020, 4), 100):
    r.read(place * MiB + 4096, 4096)
END
settle
expect_at_most "requests for more than a block of a random reader" "$(longer query~random_)" $((8 + 100 / 16 + 1))
