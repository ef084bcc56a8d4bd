#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Each debug flag writes its lines and no other's; the lines can be grepped and carry the number of the request; without
# flags nothing is written.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin

# traced FLAG: reads with this flag; its lines go to $tmp/lines.
traced ()
{
    start_nbdkit ${1:+-D "httpcache.$1=1"} -- blocksize=64K url="$origin_url/pattern/4M?redirect=/pattern/4M%3Fx-y"
    client << 'END'
r = Reader()
for i in range(20):
    r.read(i * 32768, 32768)
r.read(3 * MiB, 100)
r.h.cache(65536, 2 * MiB)
r.read(2 * MiB, 65536)
END
    stop_nbdkit
    cp "$nbdkit_err" "$tmp/lines"
    if [ -n "$1" ]; then
        expect_text "lines of $1" "$tmp/lines" "^nbdkit: debug: httpcache: $1: "
        grep -v "^nbdkit: debug: httpcache: $1: " "$tmp/lines" > "$tmp/others" || true
    else
        cp "$tmp/lines" "$tmp/others"
    fi
    if [ -s "$tmp/others" ]; then fail "lines that are not of the flag '$1': $(head -n 5 "$tmp/others")"; fi
}

traced ""

traced http
# The same request, when it begins and when it ends.
expect_text "a request" "$tmp/lines" '#1 start bytes=0-65535'
expect_text "its end" "$tmp/lines" '#1 done bytes=0-65535 status=206 connection=1 .*first_byte_ms=[0-9.]+ total_ms=[0-9.]+ received=65536 outcome=ok'
expect_text "new connections" "$tmp/lines" 'connection=1 new'
expect_text "connections that are used again" "$tmp/lines" 'connection=[0-9]+ re-used'
expect_text "the redirect" "$tmp/lines" 'redirect'
expect_text "demand" "$tmp/lines" 'demand'
expect_text "prefetch" "$tmp/lines" 'prefetch'
expect_equal "ends of requests" "$(grep -c '#[0-9]* done' "$tmp/lines")" "$(grep -c '#[0-9]* start' "$tmp/lines")"

traced cache
expect_text "a miss" "$tmp/lines" 'read 3145728\+100 .*missed=1'
expect_text "a hit" "$tmp/lines" 'read 32768\+32768 .*hit=1'
traced readahead
expect_text "a plan" "$tmp/lines" 'plans blocks'
traced verbose
expect_text "libcurl's talk" "$tmp/lines" '#1 > GET /pattern/4M'
expect_text "libcurl's talk" "$tmp/lines" '#1 < HTTP/1.1 206'
traced times
for word in "name resolution" connection "SSL negotiation" pretransfer "first byte received" "data transfer" "redirection time"
do
    expect_text "times" "$tmp/lines" "$word +: +[0-9]+\.[0-9]+ s"
done
expect_no_text "no time for the redirect" "$tmp/lines" 'redirection time +: +0\.000000 s'
traced stats
for word in reads bytes_served blocks_hit blocks_joined blocks_missed requests bytes_fetched bytes_prefetched \
    bytes_prefetched_unused retries connections peak_block_bytes; do
    expect_text "statistics" "$tmp/lines" "(^| )$word=[0-9]+( |$)"
done
expect_text "reads" "$tmp/lines" " reads=22 "
expect_text "bytes served" "$tmp/lines" "bytes_served=$((20 * 32768 + 100 + 65536)) "
expect_text "histogram" "$tmp/lines" 'us: +[0-9]+ #'
