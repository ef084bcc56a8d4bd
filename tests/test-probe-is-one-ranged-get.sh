#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# One ranged GET tells all at the start: no HEAD ever, also with servers that refuse HEAD or do not say that they take
# ranges; and what it brought is not asked for again.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd nbdinfo

start_origin --log-headers
for query in plain_ no-head no-accept-ranges no-validators http10 chunked; do
    origin_ctl reset
    start_nbdkit blocksize=64K readahead=0 url="$origin_url/pattern/1M?$query"
    expect_equal "size" "$(nbdinfo --size "$nbd_uri")" 1048576
    client << 'END'
Reader().read(100, 60000)
END
    settle
    expect_equal "requests to begin ($query)" "$(log_values request range "query=$query" | xargs)" "0-65535"
    client << 'END'
Reader().read(500000, 100000)
END
    expect_equal "HEADs" "$(origin_ctl "stat?key=heads")" 0
    stop_nbdkit
done

# Nothing that may be encoded is asked for, by any of them.
expect_equal "Accept-Encoding" "$(log_values header value name=Accept-Encoding | sort -u)" identity
expect_equal "requests with it" "$(log_values header id name=Accept-Encoding | wc -l)" "$(log_values request id | wc -l)"

# Also when the export begins somewhere else in the file; the size of the file is known from the same answer.
start_nbdkit blocksize=64K readahead=0 offset=100000 url="$origin_url/pattern/1M?offset_"
expect_equal "size" "$(nbdinfo --size "$nbd_uri")" $((1048576 - 100000))
client << 'END'
Reader(truth=lambda offset, count: pattern(offset + 100000, count)).read(5, 1000)
END
expect_equal "requests with an offset" "$(log_values request range query=offset_ | xargs)" "100000-165535"
stop_nbdkit

# An image smaller than a block, and one of just a block.
for size in 1000 65536; do
    start_nbdkit blocksize=64K url="$origin_url/pattern/$size?small_"
    client $size << 'END'
Reader().read(0, int(sys.argv[1]))
END
    expect_equal "requests for $size bytes" "$(count_requests "path=/pattern/$size")" 1
    stop_nbdkit
done
