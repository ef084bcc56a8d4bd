#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# What a round trip is paid for brings what follows too, while readers come back for it, and once they do more behind
# that; readahead=SIZE bounds it, and readahead=0 and readers who never come back have none of it.
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
stop_nbdkit

# open_warm PARAMETER...: an image whose link has been measured.  The delay is such that a slow machine makes no difference.
open_warm ()
{
    start_nbdkit url="$origin_url/pattern/1G?delay=300" "$@"
    reads 400 800
    settle
    origin_ctl reset
    : > "$origin_log"
}

# reads BLOCK...: of each of these blocks of 256K some bytes, one after the other.
reads ()
{
    client "$@" << 'END'
r = Reader()
for block in sys.argv[1:]:
    r.read(int(block) * 262144 + 4096, 4096)
END
}

# expect_asked WHAT FIRST+COUNT...: for these blocks the origin has been asked, once their requests have come.
expect_asked ()
{
    origin_ctl "wait?requests=$(($# - 1))"
    settle
    expect_equal "$1" "$(log_values request range |
        awk -F- '{ print $1 / 262144 "+" ($2 + 1 - $1) / 262144 }' | xargs)" "${*:2}"
}

# The first read of what was brought along has 512K more fetched behind it, and so has the first read of those.
open_warm
reads 1200
expect_asked "a miss" 1200+3
reads 1202 1201
expect_asked "it is read on" 1200+3 1203+2
reads 1203 1204 1202
expect_asked "and on" 1200+3 1203+2 1205+2
reads 1600 400
expect_asked "elsewhere" 1200+3 1203+2 1205+2 1600+3
stop_nbdkit

# But no further than readahead=SIZE from the read.
open_warm readahead=512K
reads 1200
expect_asked "a miss with readahead=512K" 1200+3
reads 1201
expect_asked "it is read on with readahead=512K" 1200+3 1203+1
stop_nbdkit
open_warm readahead=256K
reads 1200
expect_asked "a miss with readahead=256K" 1200+2
reads 1201
expect_asked "it is read on with readahead=256K" 1200+2 1202+1
stop_nbdkit
