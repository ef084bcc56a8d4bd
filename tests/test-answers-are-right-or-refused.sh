#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Whatever a server answers, to the first request or to a later one: the right bytes, or soon an error that says what was
# wrong.  Never a wrong byte, an end of nbdkit, or a download or memory without bounds; and when it is well, so are we.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

# The object has 1 TiB, and a connection holds little: what is taken of an endless body is what we took.
start_origin --send-buffer 65536
path=/pattern/1T url=$origin_url/pattern/1T
parameters=(blocksize=4K readahead=0 retries=1 retry-delay=0.01 timeout="$time_factor")

start_nbdkit "${parameters[@]}" url="$url"
later=$nbd_uri later_pid=$nbdkit_pid later_err=$nbdkit_err
answers=0

# answer FAULTS [MESSAGE [MESSAGE OF LATER ONES]]: served, or refused with this message; "-" is served.
answer ()
{
    local first=${2--} name=${1:0:60}
    answers=$((answers + 1))
    origin_faults "$path" "$1&at=0&$1&at=$((answers * 65536))"
    origin_ctl reset
    if [ "$first" = - ]; then
        start_nbdkit "${parameters[@]}" url="$url"
        client <<< 'Reader().read(0, 4 * KiB)'
        stop_nbdkit
    else
        expect_failure run_nbdkit true "${parameters[@]}" url="$url" 2>/dev/null
        expect_text "message for $name" "$nbdkit_err" "error: .* bytes 0-4095: $first"
    fi
    nbd_uri=$later nbdkit_err=$later_err
    : > "$nbdkit_err"
    client "$((answers * 65536))" "${3-$first}" << 'END'
r = Reader()
at = int(sys.argv[1])
if sys.argv[2] == "-":
    r.read(at, 4 * KiB)
else:
    expect_error(errno.EIO, r.h.pread, 4 * KiB, at)
r.read(0, 4 * KiB)                              # held
r.read(at + 32 * KiB, 4 * KiB)                  # elsewhere it is well
END
    if [ "${3-$first}" != - ]; then expect_text "later message for $name" "$nbdkit_err" "error: .*: ${3-$first}"; fi
    # As often as retries= says, and then no more; or five parts, of short ones.
    expect_at_most "requests for $name" "$(origin_ctl "stat?key=requests")" $([ "$first" = - ] && echo 11 || echo 5)
    expect_at_most "bytes sent for $name" "$(origin_ctl "stat?key=sent")" $((32 << 20))
}

# Well-formed, in all its ways.
answer chunked
answer http10
answer connection-close
answer close-after
answer no-length
answer no-accept-ranges
answer interim=100
answer interim=100,103,103
answer big-header=64K
answer many-headers=2000
# Shorter than asked; longer, but used is only what was asked.
answer short=1000
answer long=5000
answer long=1G
answer no-length\&long=512G
answer chunked\&short=1000\&extra=5000
answer no-length\&extra=512G
answer chunked\&extra=512G
# Lines behind its end, which are taken for an answer to the next request on that connection.
answer junk-behind=1
answer junk-behind=2000

# Not a part of the file, or not this one.
answer ignore-range 'server ignores range requests: it answered 200 OK' 'server answered 200 OK with the whole file, though '
answer wrong-range 'server answered with other bytes, 4096-8191' 'server answered with other bytes, '
answer wrong-range=1 'server answered with other bytes, 1-4096' 'server answered with other bytes, '
answer no-content-range 'server answered 206 Partial Content without a Content-Range'
for range in '*/1099511627776' '*/0'; do
    answer "content-range=$(urlencode "bytes $range")" 'server answered 206 Partial Content without a Content-Range'
done
for range in '' garbage '0-4095' '0-4095/' '-1-4095/1099511627776' '0--4095/1099511627776' '0-4095/-1099511627776' '*/*' \
    '4095-0/1099511627776' '0-1099511627776/1099511627776' '0-4095/4095' '0-4095/18446744073709551616' \
    '0-18446744073709551615/18446744073709551616' '18446744073709551616-18446744073709555711/1099511627776' \
    '0-9223372036854775808/*' '0-4095/99999999999999999999999999' '0x0-0xfff/1099511627776' '0-1,2-4095/1099511627776'; do
    answer "content-range=$(urlencode "bytes $range")" "server sent a malformed head: Content-Range '"
done
answer content-range=bytes%200-4095/* 'server does not tell the size of the file' 'server answered with other bytes, 0-4095'
answer multipart 'server answered with multipart/byteranges'
answer gzip "server sent Content-Encoding 'gzip' although none was accepted"
answer gzip\&chunked "server sent Content-Encoding 'gzip' although none was accepted"
for coding in gzip,%20chunked chunked,%20gzip deflate x-unknown chunked,%20chunked; do
    answer "chunked&transfer-encoding=$coding" "server sent Transfer-Encoding '[a-z, -]*' although only chunks were accepted"
done
answer extra=5000 'server contradicts itself: Content-Range says .*, which are 4096, Content-Length says 9096'
answer length=4095\&connection-close 'server contradicts itself'
answer length=99999999999999999999 "server sent a malformed head: Content-Length '9"
answer length=-4096 'Weird server reply: Invalid Content-Length'
answer length=junk 'Weird server reply: Invalid Content-Length'

# Heads that are none.
answer nul-header 'Weird server reply: Nul byte in header'
answer no-colon 'Weird server reply: Header without colon'
answer nul-line "no byte for $time_factor seconds, after 0 of the body"
answer "drip-header=5&many-headers=500" "(no byte|fewer than 256 bytes a second) for $time_factor seconds, after 0 of the body"
# However fast, for there may be no end to them.
answer "drip-header=1&drip-header-at=20000&big-header=20000&many-headers=2000" \
    "(no byte|fewer than 256 bytes a second) for $time_factor seconds, after 0 of the body"
answer big-header=101K 'server sent a header line of more than 100 KiB'
answer endless-header=line 'server sent a header line of more than 100 KiB'
answer endless-header 'server sent more than 262144 bytes of headers'
answer many-headers=20000 'server sent more than 262144 bytes of headers'
answer "interim=$(printf '103,%.0s' {1..8000})103" 'server sent more than 262144 bytes of headers'

# Other answers, with bodies that nobody wants.
answer status=404\&padding=512G 'server answered 404 Not Found'
answer status=503\&padding=512G 'server answered 503 Service Unavailable'
answer status=503\&padding=512G\&chunked 'server answered 503 Service Unavailable'
# Small ones, as Content-Length says, which libcurl does not heed beside chunks.
answer status=404\&padding=512G\&chunked\&length=1000 'server answered 404 Not Found'
answer status=503\&padding=512G\&chunked\&length=1000 'server answered 503 Service Unavailable'
answer "redirect=$origin_url/elsewhere&padding=512G" 'server answered 404 Not Found'
answer "redirect=$(urlencode "$origin_url$path?x-there")&padding=512G&times=1"

# And then the server is well.
origin_faults "$path" ""
nbd_uri=$later
client "$answers" << 'END'
r = Reader()
for i in range(1, int(sys.argv[1]) + 1):
    r.read(i * 64 * KiB, 4 * KiB)
END
if [ "$time_factor" -eq 1 ]; then expect_at_most "KiB in use" "$(kib_of "$later_pid" VmHWM)" 65536; fi
