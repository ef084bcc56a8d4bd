#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# A redirect is followed once, and its target asked from then on, until that refuses or is gone: then one request, however
# many readers wait, asks the configured URL where it is now, and all go on there.  What that refuses, too, is an error at
# once; what has changed is never mixed in; and the login stays at home.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin --log-headers
store=$origin_url store_log=$origin_log store_control=$origin_control
start_origin --log-headers
front_log=$origin_log

# target TOKEN [FAULTS]: a signed URL of the store, for use in a query.
target () { urlencode "$store/pattern/4M?token=$1${2:+&$2}"; }

# serve QUERY PARAMETER...: through a redirect that the front answers as QUERY says.
serve ()
{
    : > "$front_log"; : > "$store_log"
    origin_ctl reset
    origin_control=$store_control origin_ctl reset
    start_nbdkit -D httpcache.http=1 -- blocksize=64K readahead=0 user=alice password=wonderland "${@:2}" \
        url="$origin_url/pattern/4M?$1"
}
front_requests () { origin_log=$front_log count_requests path=/pattern/4M; }
store_requests () { origin_log=$store_log count_requests path=/pattern/4M "$@"; }

# Block after block: one request each, and one for the redirect.
serve "redirect=$(target 1)"
client << 'END'
r = Reader()
for i in range(32):
    r.read(i * 64 * KiB, 64 * KiB)
END
expect_equal "requests redirected" "$(front_requests)" 1
expect_at_most "requests for 32 blocks" "$(($(front_requests) + $(store_requests)))" 33
expect_text "trace" "$nbdkit_err" "redirect status=302 to=$store/pattern/4M"
stop_nbdkit

read_all=$(cat << 'END'
readers = [Reader() for _ in range(4)]
for i in range(64):
    readers[i % 4].start(i * 64 * KiB, 64 * KiB)
for r in readers:
    r.finish_all()
END
)

# Signed URLs that expire, twice, while 64 reads are under way.
serve "redirect=$(target 1 "status=403&after=3")&on=1&redirect=$(target 2 "status=403&after=10")&on=2&redirect=$(target 3
    )&after=2"
client <<< "$read_all"
expect_equal "requests redirected" "$(front_requests)" 3
expect_at_most "requests refused" "$(origin_log=$store_log log_values answer status status=403 | wc -l)" 32
expect_equal "resolutions in the trace" \
    "$(grep -c "target from now on: $store/pattern/4M" "$nbdkit_err")" 2
expect_no_text "trace" "$nbdkit_err" 'token='
expect_no_text "the store's log" "$store_log" '[Aa]uthorization|wonderland'
expect_text "the front's log" "$front_log" '[Aa]uthorization'
expect_no_text "errors" "$nbdkit_err" 'error: GET'
stop_nbdkit

# More often than redirects may follow on each other, over one connection.
serve "redirect=$(target 1 "status=403&on=2,4,6,8,10,12,14,16,18,20,22,24")" readahead=0 connections=1
client << 'END'
r = Reader()
for i in range(12):
    r.read((i + 1) * 64 * KiB, 64 * KiB)
END
expect_equal "requests redirected" "$(front_requests)" 13
stop_nbdkit

# Each of the refusals is one.
for status in 401 404 410; do
    serve "redirect=$(target 1 "status=$status&after=3")&times=1&redirect=$(target 2)&after=1"
    client <<< "$read_all"
    expect_equal "requests redirected, $status" "$(front_requests)" 2
    stop_nbdkit
done

# It is a page to log in at by now, or only fails.
page=$(urlencode "$store/pattern/5000?ignore-range&content-type=text/html")
for faults in "redirect=$page&after=3" status=503\&after=3; do
    serve "redirect=$(target 1 "$faults")&times=1&redirect=$(target 2)&after=1" retry-delay=0.01
    client <<< "$read_all"
    expect_equal "requests redirected, $faults" "$(front_requests)" 2
    expect_no_text "errors" "$nbdkit_err" 'error: GET'
    stop_nbdkit
done

# One range is refused, wherever: that is the error of its readers alone.
serve "redirect=$(target 1 "status=403&at=1M")"
client << 'END'
readers = [Reader() for _ in range(4)]
reads = [(readers[i % 4], readers[i % 4].start(i * 64 * KiB, 512)) for i in range(64) if i != 16]
bad = readers[0].h.aio_pread(nbd.Buffer(512), MiB)
for reader, cookie in reads:
    reader.finish(cookie)
expect_error(errno.EIO, Reader().h.pread, 512, MiB)
END
expect_text "message" "$nbdkit_err" "error: GET $store/pattern/4M[?.]* bytes 1048576-.*403 Forbidden .*$origin_url/pattern/4M[?.]* redirects there"
stop_nbdkit

# What is no refusal is told with what led there, too.
serve "redirect=$(target 1 "status=405&at=1M")"
client << 'END'
expect_error(errno.EIO, Reader().h.pread, 512, MiB)
END
expect_text "message" "$nbdkit_err" "error: GET $store/.* 405 Method Not Allowed \($origin_url/pattern/4M[?.]* redirects there\)"
stop_nbdkit

# It goes on refusing.  The answer is held back until all wait for it; and then they are told.
serve "redirect=$(target 1 "status=403&after=1")&times=1&redirect=$(target 1 "status=403&after=1")&gate=anew&after=1"
start_client << 'END'
readers = [Reader() for _ in range(4)]
reads = [(readers[i % 4], readers[i % 4].start((i + 1) * 32 * KiB * 2 % (4 * MiB - 64 * KiB) + 64 * KiB, 512)) for i in range(62)]
print("started", flush=True)
for reader, cookie in reads:
    expect_error(errno.EIO, reader.finish, cookie)
readers[0].read(0, 64 * KiB)                    # held
END
origin_ctl "wait?gate=anew&waiting=1"
origin_ctl "open?gate=anew"
wait "$client_pid"
expect_at_most "requests redirected for 62 readers" "$(front_requests)" 8
expect_text "message" "$nbdkit_err" \
    "error: GET $store/pattern/4M[?.]* bytes [0-9-]*: server answered 403 Forbidden .*\(asked $origin_url/pattern/4M[?.]* anew, for $store/pattern/4M[?.]*, where it had redirected to, refused\)"
expect_no_text "message" "$nbdkit_err" 'error:.*tried [0-9]+ times'
expect_no_text "message" "$nbdkit_err" 'token='
stop_nbdkit

# The object has changed meanwhile.
serve "redirect=$(target 1 "status=403&after=1")&times=1&redirect=$(target 2 new-etag)&after=1"
client << 'END'
r = Reader()
expect_error(errno.EIO, r.h.pread, 512, MiB)
r.read(0, 64 * KiB)
expect_error(errno.EIO, r.h.pread, 512, 2 * MiB)
END
expect_text "message" "$nbdkit_err" 'error: .*changed'
expect_equal "requests redirected" "$(front_requests)" 2
expect_equal "requests to the new target" "$(store_requests query~token=2)" 1
stop_nbdkit

# The store is gone; another has taken its place.
front_url=$origin_url front_control=$origin_control
start_origin
other=$origin_url other_log=$origin_log
origin_url=$front_url origin_control=$front_control
serve "redirect=$(target 1)&times=1&redirect=$(urlencode "$other/pattern/4M")&after=1"
origin_control=$store_control origin_ctl "listen?mode=refuse"
origin_control=$store_control origin_ctl drop
client <<< "$read_all"
expect_equal "requests redirected" "$(front_requests)" 2
expect_at_least "requests to the other store" "$(origin_log=$other_log count_requests path=/pattern/4M)" 1
expect_no_text "errors" "$nbdkit_err" 'error: GET'
