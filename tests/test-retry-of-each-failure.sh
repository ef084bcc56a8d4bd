#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Each failure that may pass is tried again, those that will not are said at once, and nobody asks before the time that
# Retry-After names, in seconds or as a date, up to a minute.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd openssl

make_certificates
start_origin

read_once='Reader().read(512 * KiB, 512)'
serve ()
{
    start_nbdkit -D httpcache.http=1 -- blocksize=64K readahead=0 retry-delay=0.01 cainfo="$tls_ca" "$@" \
        url="$origin_url/pattern/1M"
    : > "$origin_log"
}

# passes WHAT: the read that has just met it is served by the second request.
passes ()
{
    client <<< "$read_once"
    expect_equal "requests, $1" "$(count_requests path=/pattern/1M)" 2
    expect_no_text "errors" "$nbdkit_err" 'error: GET'
    stop_nbdkit
}

for status in 408 425 429 500 502 503 504; do
    serve
    origin_faults /pattern/1M "status=$status&times=1"
    passes "$status"
done
for fault in cut-header=0 cut-header=30 'cut-header=30&cut-how=rst' cut=100 'cut=100&cut-how=rst' stall-header=30 stall=100
do
    serve timeout=1
    origin_faults /pattern/1M "$fault&times=1"
    passes "$fault"
done
# Reset, or closed, when it is accepted: libcurl or the plugin connects again.
for mode in reset close; do
    serve
    origin_ctl "listen?mode=$mode&times=2"
    origin_ctl drop
    client <<< "$read_once"
    expect_equal "requests after $mode" "$(count_requests path=/pattern/1M)" 1
    expect_no_text "errors" "$nbdkit_err" 'error: GET'
    stop_nbdkit
done

# The name server is away for a while.
slow_net SLOW_DNS_S=0 NO_DNS="$tmp/no-dns"
start_nbdkit -D httpcache.http=1 -- blocksize=64K readahead=0 retry-delay=0.01 \
    url="$origin_url/pattern/1M?redirect=http://slow.test:${origin_url##*:}/pattern/1M&at=512K"
: > "$tmp/no-dns"
start_client <<< "$read_once"
await_text "$nbdkit_err" "retry in .*resolve host"
rm "$tmp/no-dns"
wait "$client_pid"
expect_no_text "errors" "$nbdkit_err" 'error: GET'
stop_nbdkit
slow_net

# Said at once.
for status in 400 401 403 404 410 501; do
    serve
    origin_faults /pattern/1M "status=$status"
    client << 'END'
r = Reader()
expect_error(errno.EIO, r.h.pread, 512, 512 * KiB)
END
    expect_equal "requests, $status" "$(count_requests path=/pattern/1M)" 1
    expect_text "message" "$nbdkit_err" "error: .*server answered $status"
    expect_no_text "message" "$nbdkit_err" "tried"
    origin_faults /pattern/1M ""
    stop_nbdkit
done

# Retry-After.
serve
origin_faults /pattern/1M "status=429&retry-after=1&times=1"
client <<< "$read_once"
expect_text "seconds" "$nbdkit_err" 'retry in (1000|999) ms'
stop_nbdkit
serve
origin_faults /pattern/1M "status=503&retry-after=$(urlencode "$(date -u -d '+4 seconds' '+%a, %d %b %Y %H:%M:%S GMT')")&times=1"
client <<< "$read_once"
expect_text "a date" "$nbdkit_err" 'retry in [1-4][0-9][0-9][0-9] ms'
stop_nbdkit
serve retry-max-time=1
origin_faults /pattern/1M "status=503&retry-after=36000&times=1"
client << 'END'
r = Reader()
expect_error(errno.EIO, r.h.pread, 512, 512 * KiB)
END
expect_text "capped" "$nbdkit_err" 'retry in (60000|59999) ms'
expect_text "message" "$nbdkit_err" 'error: .*503 Service Unavailable, and is not to be asked again for 36000 s; bytes 524288-589823 waited 1\.[0-9] s for the server'
expect_equal "requests" "$(count_requests path=/pattern/1M)" 1
stop_nbdkit
serve retry-max-time=1
origin_faults /pattern/1M "status=503&times=1&status=503&retry-after=36000&after=1"
client << 'END'
r = Reader()
expect_error(errno.EIO, r.h.pread, 512, 512 * KiB)
END
expect_text "message" "$nbdkit_err" 'error: .*; bytes 524288-589823 waited 1\.[0-9] s for the server \(tried 2 times\)'
stop_nbdkit

# Over TLS, cut off without its goodbye.
start_origin --tls "$tls_cert" "$tls_key"
for fault in cut-header=30 cut=100 'no-length&cut=100'; do
    serve
    origin_faults /pattern/1M "$fault&times=1"
    passes "TLS $fault"
done
