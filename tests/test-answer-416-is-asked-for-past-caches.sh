#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# A 416 to a range inside the file may be the word of a cache on the way: it is asked once more past caches, by the first
# request and by later ones, and only then fails, with both answers in the message.  What follows is asked for as usual.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

# asked: the first byte of each request since the log was emptied, with "!" before it if it was to go past caches.
asked ()
{
    local id range
    for id in $(log_values request id); do
        range=$(log_values request range id="$id")
        case $(log_values header name id="$id" value=no-cache | sort | xargs) in
            'Cache-Control Pragma') printf '!' ;;
            '') ;;
            *) printf '?' ;;
        esac
        printf '%s ' "${range%%-*}"
    done | sed 's/ $//'
}

start_origin --log-headers
read_there='Reader().read(4 * MiB, MiB)'
at=$((4 << 20))
serve ()
{
    start_nbdkit -D httpcache.http=1 -- blocksize=1M readahead=0 retry-delay=0.01 "$@"
    : > "$origin_log"
}

# meets FAULTS REQUESTS [PARAMETER...]: a read that meets the faults is served by these requests, and the next by one.
meets ()
{
    serve url="$origin_url/pattern/16M" "${@:3}"
    origin_faults /pattern/16M "$1"
    client <<< "$read_there"
    client <<< 'Reader().read(8 * MiB, 512)'
    expect_equal "requests for $1" "$(asked)" "$2 $((8 << 20))"
    expect_no_text "errors" "$nbdkit_err" 'error:'
    origin_faults /pattern/16M ""
    stop_nbdkit
}
meets "416=16M&at=4M&times=1" "$at !$at"
meets "416=16M&at=4M&times=1" "$at !$at" retries=0
meets "status=416&at=4M&times=1" "$at !$at"
# Another size is that of the version which a cache has, perhaps.
meets "416=1M&at=4M&times=1" "$at !$at"
# In parts: the second is asked for as usual.
meets "416=16M&at=4M&times=1&short=1000&on=2&at=4M" "$at !$at $((at + 1000))"
# What may pass is tried again, still past caches and as often as ever.
meets "416=16M&at=4M&times=1&status=503&on=2&at=4M" "$at !$at !$at" retries=1

# fails FAULTS REQUESTS MESSAGE [NEXT]: the read is an error; the NEXT one of other bytes, if any, is served.
fails ()
{
    serve url="$origin_url/pattern/16M"
    origin_faults /pattern/16M "$1"
    client << 'END'
r = Reader()
expect_error(errno.EIO, r.h.pread, 512, 4 * MiB)
r.read(0, MiB)
END
    if [ $# -gt 3 ]; then client <<< "Reader().read($4, 512)"; fi
    expect_equal "requests for $1" "$(asked)" "$2${4+ $4}"
    expect_text "message for $1" "$nbdkit_err" "error: GET $origin_url/pattern/16M bytes $at-$((at + (1 << 20) - 1)): $3"
    origin_faults /pattern/16M ""
    stop_nbdkit
}
first='server answered 416 Range Not Satisfiable, though the file has 16777216 bytes'
again='; asked once more past caches, with Cache-Control: no-cache: '
told="$first, as that answer says too" untold="$first, without telling a size"
fails "416=16M&at=4M" "$at !$at" "$told$again$told \(does a cache .* URL that goes around it\)" $((8 << 20))
fails "416=16M&at=4M&times=1&status=416&on=2&at=4M" "$at !$at" "$told$again$untold \(does a cache "
fails "status=416&at=4M&times=1&status=404&on=2&at=4M" "$at !$at" "$untold${again}server answered 404"
# Another size is a change, if it is told past caches, too.
changed='the file on the server has changed, from 16777216 bytes to 1048576 bytes'
fails "416=1M&at=4M" "$at !$at" "$changed.*$again$changed"
fails "416=16M&at=4M&times=1&416=1M&on=2&at=4M" "$at !$at" "$first, .*${again}the file on the server has changed, from"

# The first request.
for query in "416=16M&times=1" "status=416&times=1"; do
    : > "$origin_log"
    start_nbdkit blocksize=1M readahead=0 url="$origin_url/pattern/16M?$query"
    client <<< "$read_there"
    expect_equal "requests for $query" "$(asked)" "0 !0 $at"
    stop_nbdkit
done
: > "$origin_log"
start_nbdkit blocksize=1M readahead=0 offset=4M url="$origin_url/pattern/16M?416=16M&times=1&x-from=4M"
expect_equal "requests from an offset on" "$(asked)" "$at !$at"
stop_nbdkit
# refused MESSAGE PARAMETER...
refused ()
{
    : > "$origin_log"
    expect_failure run_nbdkit true "${@:2}"
    expect_text "message" "$nbdkit_err" "$1"
}
it='server answered 416 Range Not Satisfiable'
refused "bytes 0-262143: $it, though it says that the file has 16777216 bytes$again$it, though .* \(does a cache " \
    url="$origin_url/pattern/16M?416=16M"
expect_equal "requests" "$(asked)" "0 !0"
refused "bytes 0-262143: $it without telling the size of the file$again$it, though it says" \
    url="$origin_url/pattern/16M?status=416&times=1&416=16M&after=1"
expect_equal "requests" "$(asked)" "0 !0"
# This one needs no second question.
refused 'offset=33554432 lies beyond the end' offset=32M url="$origin_url/pattern/16M"
expect_equal "requests" "$(asked)" 33554432

# Whoever is asked hears it, though not the user's headers, and a signature covers it.
home_url=$origin_url home_log=$origin_log
start_origin --log-headers
serve header='X-Token: for-home' url="$home_url/pattern/16M?redirect=$(urlencode "$origin_url/pattern/16M")"
origin_faults /pattern/16M "416=16M&at=4M&times=1"
client <<< "$read_there"
expect_equal "requests to the other server" "$(asked)" "$at !$at"
expect_text "sent home" "$home_log" for-home
expect_no_text "sent away" "$origin_log" for-home
stop_nbdkit
origin_faults /pattern/16M ""
serve user=AKID password=secret aws-sigv4=aws:amz:us-east-1:s3 url="$origin_url/pattern/16M?sigv4=AKID:secret:us-east-1:s3"
origin_faults /pattern/16M "416=16M&at=4M&times=1"
client <<< "$read_there"
expect_equal "signed requests" "$(asked)" "$at !$at"
stop_nbdkit
origin_faults /pattern/16M ""

# What the user says of caches is left as it is.
serve header='cache-control: max-age=5' header='X-Mine: 1' url="$origin_url/pattern/16M?416=16M&at=4M&times=1"
client <<< "$read_there"
expect_equal "the user's" "$(log_values header value name~'^[Cc]ache-[Cc]ontrol$' | xargs)" "max-age=5 max-age=5"
expect_equal "the other header" "$(log_values header value name=X-Mine | xargs)" "1 1"
expect_equal "Pragma" "$(log_values header value name=Pragma | xargs)" no-cache
