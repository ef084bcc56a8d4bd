#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Memory stays within what was allowed while eight clients read the whole image: cache-blocks x blocksize for blocks,
# 32 MiB for everything else, 256 KiB for each connection.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd
if [ "$time_factor" -gt 1 ]; then
    echo "$0: SKIPPED: valgrind and the sanitizers have memory of their own" >&2
    exit 77
fi

start_origin
for settings in "256 64 8" "64 100 16" "1024 8 4"; do
    read -r block_kib blocks connections <<< "$settings"
    start_nbdkit blocksize="${block_kib}K" cache-blocks="$blocks" connections="$connections" \
        url="$origin_url/pattern/100000001"
    # Reads of 64K, because nbdkit's own 16 threads for each connection have a buffer each, as large as the largest
    # request: that is not ours (nbdcopy asks for whole blocks, and then nbdkit alone takes 32 MiB for eight).
    clients=()
    for i in 1 2 3 4 5 6 7 8; do
        start_client "$i" << 'END'
r = Reader()
size = r.h.get_size()
for offset in range(0, size, 4 * 65536):
    for piece in range(offset, min(size, offset + 4 * 65536), 65536):
        r.start(piece, min(65536, size - piece))
    r.finish_all()
END
        clients+=("$client_pid")
    done
    for pid in "${clients[@]}"; do wait "$pid"; done
    limit=$((block_kib * blocks + 32 * 1024 + 256 * connections))
    peak=$(kib_of "$nbdkit_pid" VmHWM)
    echo "blocksize=${block_kib}K cache-blocks=$blocks connections=$connections: peak $peak KiB, limit $limit KiB"
    expect_at_most "peak memory in KiB" "$peak" "$limit"
    stop_nbdkit
done
