#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# A read may be larger than the whole cache, and many such may be under way at once: all get their bytes, none waits for
# ever for another's blocks.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin
start_nbdkit blocksize=64K cache-blocks=2 url="$origin_url/pattern/64M"
client << 'END'
r = Reader()
size = 32 * MiB // TIME_FACTOR
r.read(0, size)
r.read(12345, size)
if TIME_FACTOR == 1:
    r.read(0, 64 * MiB)                         # the largest request that nbdkit takes
END
# Eight connections with four reads each, all of other places, backwards as well.
client << 'END'
readers = [Reader() for _ in range(8)]
size = 2 * MiB // TIME_FACTOR
for turn in range(4):
    for i, r in enumerate(readers):
        r.start((((turn * 8 + i) * 37) % 32) * MiB * 63 // 32 + 1000 * i, size)
for r in readers:
    r.finish_all()
END
