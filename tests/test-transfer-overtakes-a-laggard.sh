#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# One answer comes far more slowly than the others.  Once there is nothing else to fetch, what it lacks is asked for
# again, from the byte that it has reached, on a connection that has nothing to do.  Where all are slow, none is.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin
# What follows it is read ahead meanwhile, up to the image's end.
start_nbdkit -D httpcache.stats=1 -- url="$origin_url/pattern/16M?rate=200K&on=8"
client << 'END'
r = Reader()
for at in range(0, 16 * MiB, 65536):
    r.read(at, 65536)
END
settle
stop_nbdkit
expect_text "statistics" "$nbdkit_err" " replaced=[1-9]"

# After a stream, whose many connections together are fast, single reads.
start_nbdkit -D httpcache.stats=1 -- url="$origin_url/pattern/64M?delay=20&rate=1M"
client << 'END'
r = Reader()
for at in range(0, 24 * MiB, 65536):
    r.read(at, 65536)
for place in 61, 50, 57, 46, 54:
    r.read(place * MiB, 262144)
END
settle
stop_nbdkit
expect_text "statistics" "$nbdkit_err" " replaced=0 "
