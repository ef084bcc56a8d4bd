#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Over HTTP/2 requests share connections, four each.  An answer that is cut, refused or silent concerns its own stream: it
# is asked for again from the byte it reached, and the others on its connection go on.  Only a connection on which all is
# silent is left for a new one.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin
start_nginx "$origin_url"                       # which speaks HTTP/2, and hands on what the origin does

# serve QUERY PARAMETERS...: nbdkit on a pattern of 8M that meets the faults.
serve ()
{
    : > "$nginx_log"
    start_nbdkit -D httpcache.http=1 -- http-version=2.0 cainfo="$tls_ca" readahead=0 "${@:2}" \
        url="$nginx_h2_url/pattern/8M?$1"
}
# ended CONNECTIONS: nbdkit ends, having used so many at most, all over HTTP/2.
ended ()
{
    stop_nbdkit
    expect_no_text "requests over HTTP/1.1" "$nginx_log" 'http=HTTP/1'
    connections=$(sed 's/.* conn=\([^ ]*\) .*/\1/' "$nginx_log" | sort -u | wc -l)
    expect_at_most "connections" "$connections" "$1"
}

# Sixteen reads at a time, and what becomes of the one at 1M.  (libcurl may drop what came together with a reset.)
for fault in "cut=100000" "status=503" "short=1000" "cut-header=20" "no-length&cut=100000" "cut=0"; do
    serve "$fault&at=1M&times=1" blocksize=256K
    client << 'END'
r = Reader()
for i in range(16):
    r.start(i * MiB // 2, MiB // 2)
r.finish_all()
END
    ended 4
done
short=$(log_values answer range "query=short=1000&at=1M&times=1" sent=1000)
expect_equal "requests for the rest" \
    "$(log_values request id "query=short=1000&at=1M&times=1" "range~^$((${short%-*} + 1000))-" | wc -l)" 1

# One answer is silent while another brings a byte now and then: it alone is given up.
serve "stall=1000&at=1M&times=1&drip=$((time_factor * 2))&at=2M" connections=2 blocksize=4K timeout="$time_factor"
client << 'END'
r = Reader()
r.start(MiB, 4096)
r.start(2 * MiB, 2048)
r.finish_all()
END
ended 1
expect_text "silence" "$nbdkit_err" 'no byte for'

# Nothing else is heard on its connection: the next attempt is made over another.
serve "stall=1000&at=1M&times=1" connections=2 blocksize=4K timeout="$time_factor"
client << 'END'
Reader().read(MiB, 4096)
END
ended 2
expect_equal "connections" "$connections" 2
expect_text "silence" "$nbdkit_err" 'no byte for'
