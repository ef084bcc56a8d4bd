#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# The cache holds cache-blocks blocks and no more: a block that had to go is asked for again, one that is held is not.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin
start_nbdkit blocksize=64K cache-blocks=8 readahead=0 url="$origin_url/pattern/16M"
client << 'END'
r = Reader()
for block in range(64):
    r.read(block * 65536, 65536)
END
first=$(count_requests)
expect_equal "requests of the first pass" "$first" 64
client << 'END'
Reader().read(63 * 65536 + 100, 100)            # the one that came last is there
END
expect_equal "requests after reading the last block again" "$(count_requests)" 64
client << 'END'
r = Reader()
for block in range(64):
    r.read(block * 65536, 65536)
END
again=$(($(count_requests) - first))
expect_at_least "blocks asked for again, of 64 with 8 held" "$again" 56
expect_at_most "blocks asked for again" "$again" 64
stop_nbdkit

# Blocks that are read again and again, as qcow2's tables are, stay while a scan goes by.
start_nbdkit blocksize=64K cache-blocks=32 readahead=0 url="$origin_url/pattern/64M?metadata_"
client << 'END'
r = Reader()
for block in range(20, 660):
    r.read(block * 65536, 65536)
    if block % 40 == 0:                         # further apart than the cache is large
        for hot in range(4):
            r.read(hot * 65536 + 512, 512)
END
for block in 0 1 2 3; do
    expect_at_most "requests for metadata block $block, used 16 times" \
        "$(count_requests query=metadata_ "range=$((block * 65536))-$((block * 65536 + 65535))")" 4
done
