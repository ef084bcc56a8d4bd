#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# After 401 or 403 the script runs again, once for all requests that were refused, and they are asked again: readers do
# not notice.  What is refused then, or when it is new, is an error at once, and no reason to run the script for each read.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd nbdinfo

start_origin --log-headers
script="echo run >> '$tmp/runs'; echo \"Authorization: Bearer T\$iteration\""
runs () { wc -l < "$tmp/runs"; }
# begin: nothing has been asked or run yet.
begin () { : > "$origin_log"; : > "$tmp/runs"; origin_ctl reset; }
refused () { settle; log_values answer status status="$1" | wc -l; }

sixteen=$(cat << 'END'
readers = [Reader() for _ in range(16)]
for i, r in enumerate(readers):
    r.start((i + 1) * MiB, 64 * KiB)
for r in readers:
    r.finish_all()
END
)

# Sixteen requests are on their way when the token expires; the answers are held back until all have been sent.
for expired in "401 bearer=T0&times=1&bearer=T1&after=1" \
    "403 require-header=Authorization:Bearer%20T0&times=1&require-header=Authorization:Bearer%20T1&after=1"; do
    begin
    start_nbdkit -D httpcache.http=1 -- blocksize=64K readahead=0 header-script="$script" \
        url="$origin_url/pattern/32M?${expired#* }&gate=g${expired%% *}&on=2-17"
    start_client <<< "$sixteen"
    origin_ctl "wait?gate=g${expired%% *}&waiting=16"
    origin_ctl "open?gate=g${expired%% *}"
    wait "$client_pid" || fail "reads after ${expired%% *}"
    expect_equal "runs" "$(runs)" 2
    expect_equal "refused" "$(refused "${expired%% *}")" 16
    expect_text "trace" "$nbdkit_err" "http: #[0-9]+ refused status=${expired%% *}, asks again with new credentials"
    expect_text "trace" "$nbdkit_err" 'http: header-script= is run, iteration 1'
    expect_no_text "errors" "$nbdkit_err" 'error:'
    # It has not gone through the fetcher as a failure.
    stop_nbdkit
    expect_no_text "retries" "$nbdkit_err" 'retry in'
done

# Over and over; the script of cookies, too.
begin
start_nbdkit blocksize=64K readahead=0 header-script="$script" cookie-script='echo "c=$iteration"' \
    url="$origin_url/pattern/32M?bearer=T0&times=4&bearer=T1&on=5-9&bearer=T2&on=10-14&bearer=T3&after=14"
client << 'END'
r = Reader()
for i in range(20):
    r.read(i * MiB, 64 * KiB)
END
stop_nbdkit
expect_equal "runs" "$(runs)" 4
expect_equal "the last cookie" "$(log_values header value name=Cookie | tail -n 1)" c=3

# HTTP/2, whose requests share connections.
begin
start_nginx "$origin_url"
start_nbdkit http-version=2.0 cainfo="$tls_ca" blocksize=64K readahead=0 header-script="$script" \
    url="$nginx_h2_url/pattern/32M?bearer=T0&times=1&bearer=T1&after=1"
client <<< "$sixteen"
stop_nbdkit
expect_equal "runs" "$(runs)" 2

# A page for people comes with the refusal, longer than is worth waiting for, and does not end; or says that it is short.
for page in length=1000000 'length=1000&chunked&padding=512G' 'padding=1000&stall=10'; do
    begin
    start_nbdkit -D httpcache.http=1 -- blocksize=64K readahead=0 timeout=10 header-script="$script" \
        url="$origin_url/pattern/4M?bearer=T0&times=1&bearer=T1&after=1&$page&on=2"
    client << 'END'
Reader().read(MiB, 64 * KiB)
END
    stop_nbdkit
    expect_no_text "retries" "$nbdkit_err" 'retry in'
    expect_equal "runs" "$(runs)" 2
done

# Refused again: an error that says so, not tried again; and the next reads, for whom the token is still new, are
# refused without a run.
begin
start_nbdkit blocksize=64K readahead=0 header-script="$script" url="$origin_url/pattern/4M?bearer=T0&times=1&bearer=no&after=1"
client << 'END'
r = Reader()
for i in range(4):
    expect_error(errno.EIO, r.h.pread, 512, MiB)
r.read(0, 64 * KiB)
END
stop_nbdkit
expect_text "message" "$nbdkit_err" \
    'error: GET .* bytes 1048576-[0-9]*: server answered 401 Unauthorized \(is what header-script= prints what it wants\?\)'
expect_no_text "message" "$nbdkit_err" 'tried [0-9]+ times'
expect_equal "refused" "$(refused 401)" 5
expect_equal "runs" "$(runs)" 2

# One place of the file is refused whatever the token, which works elsewhere: asked again once, however new the token is.
begin
start_nbdkit blocksize=64K readahead=0 header-script="$script" \
    url="$origin_url/pattern/4M?status=401&at=1M&gate=again&at=1M&on=2"
start_client << 'END'
expect_error(errno.EIO, Reader().h.pread, 512, MiB)
END
origin_ctl "wait?gate=again&waiting=1"
client << 'END'
Reader().read(3 * MiB, 512)
END
origin_ctl "open?gate=again"
wait "$client_pid"
stop_nbdkit
expect_equal "refused" "$(refused 401)" 2
expect_equal "runs" "$(runs)" 2

# Nor for each read of a place that is refused whatever the token, while others are served with it; be that a place to
# which the URL redirects on the same server.
begin
start_nbdkit blocksize=64K readahead=0 cache-blocks=2 header-script="$script" url="$origin_url/pattern/4M?status=401&at=1M"
client << 'END'
r = Reader()
for i in range(8):
    expect_error(errno.EIO, r.h.pread, 512, MiB)
    r.read((16 + i) * 128 * KiB, 512)
END
stop_nbdkit
expect_equal "runs" "$(runs)" 2
begin
start_nbdkit blocksize=64K readahead=0 header-script="$script" \
    url="$origin_url/pattern/4M?redirect=$(urlencode '/pattern/4M?token=there&status=403&after=1')"
client << 'END'
r = Reader()
for i in range(8):
    expect_error(errno.EIO, r.h.pread, 512, MiB)
END
stop_nbdkit
expect_equal "runs" "$(runs)" 2

# Refused at the start.
begin
expect_failure run_nbdkit 'nbdinfo "$uri"' header-script="$script" url="$origin_url/pattern/4M?status=403" 2>/dev/null
expect_text "message" "$nbdkit_err" 'server answered 403 Forbidden \(is what header-script= prints what it wants'
expect_equal "runs" "$(runs)" 1
expect_equal "requests" "$(count_requests)" 1

# Where the image lies refuses its old URL, so the configured one is asked anew, which has come to refuse the token.
begin
front=$origin_url front_log=$origin_log front_control=$origin_control
start_origin --log-headers
store=$origin_url store_log=$origin_log
target () { urlencode "$store/pattern/4M?token=$1${2:+&$2}"; }
start_nbdkit blocksize=64K readahead=0 header-script="$script" \
    url="$front/pattern/4M?bearer=T0&times=1&bearer=T1&after=1&redirect=$(target 1 'status=403&after=3')&on=1&redirect=$(
         target 2)&after=1"
client << 'END'
r = Reader()
for i in range(16):
    r.read(i * 128 * KiB, 64 * KiB)
END
stop_nbdkit
origin_log=$front_log
expect_equal "requests redirected" "$(count_requests)" 3
expect_equal "runs" "$(runs)" 2
expect_no_text "what the store was sent" "$store_log" 'Bearer'
expect_text "what the store was asked" "$store_log" 'token=2'
