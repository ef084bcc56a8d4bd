#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# nbdcopy, with its several connections, gets every byte, fetched once.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires nbdcopy

size=50000000
make_random "$tmp/www/file" $size
start_origin
for connections in 1 4; do
    origin_ctl reset
    start_nbdkit url="$origin_url/file"
    nbdcopy --connections=$connections "$nbd_uri" "$tmp/copy"
    cmp "$tmp/www/file" "$tmp/copy"
    stop_nbdkit
    settle
    expect_equal "bytes fetched by $connections connections" "$(origin_ctl "stat?key=sent")" $size
done
