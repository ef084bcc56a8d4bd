#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Each mirror is asked at the start.  What has another file is left out, with a warning; what does not answer is asked
# again later, and if that is the URL itself, the next one decides.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd
. "$srcdir/mirrors.sh"

read_all='r = Reader()
for i in range(64):
    r.read(i * 256 * KiB, 256 * KiB)'

# left_out URL MESSAGE [REQUESTS]: as a mirror of a good one.
left_out ()
{
    : > "$b_log"
    start_nbdkit -D httpcache.http=1 -- url="$a/pattern/16M" mirror="$1"
    expect_text "warning" "$nbdkit_err" "warning: the mirror .* is left out: GET .*$2"
    client <<< "$read_all"
    stop_nbdkit
    expect_equal "requests" "$(origin_log=$b_log log_values request id | wc -l)" "${3:-1}"
}
left_out "$b/pattern/8M" "it has 8388608 bytes, the others 16777216"
left_out "$b/pattern/32M" "it has 33554432 bytes, the others 16777216"
left_out "$b/pattern/16M?shift=4096" "from byte 16711680 on it has other bytes than the others"
left_out "$b/pattern/16M?shift=4096&at=0" "from byte 6 on it has other bytes than the others" 2

# Of no size but 0 an empty one is a mirror.
left_out "$b/pattern/0" "it has 0 bytes, the others 16777216"

# Another error is no proof: it is asked again.
on b origin_faults /pattern/16M "status=404&times=1"
start_nbdkit -D httpcache.http=1 -- blocksize=64K cache-blocks=16 url="$a/pattern/16M" mirror="$b/pattern/16M"
expect_text "warning" "$nbdkit_err" "the mirror $b/pattern/16M cannot be used, and is asked again later: .*404"
client "$b_log" <<< "$until_asked"
stop_nbdkit
on b origin_faults /pattern/16M ""

# The URL itself is not there, yet or any more: the mirror decides, and it becomes one when it is.
on a origin_faults /pattern/16M "status=404"
: > "$a_log"
start_nbdkit -D httpcache.http=1 -- blocksize=64K cache-blocks=16 url="$a/pattern/16M" mirror="$b/pattern/16M"
expect_text "warning" "$nbdkit_err" "warning: GET $a/pattern/16M .* 404 Not Found.*trying its mirror"
client <<< "$read_all"
: > "$a_log"
on a origin_faults /pattern/16M ""
client "$a_log" <<< "$until_asked"
expect_text "warning's end" "$nbdkit_err" "warning: the mirror $a/pattern/16M is used again"
stop_nbdkit

# Nor is any of them.
expect_failure run_nbdkit true retries=0 url="$a/pattern/1M?status=404" mirror="$b/pattern/1M?status=403"
expect_text "message" "$nbdkit_err" "GET $b/pattern/1M.* 403 .*; and GET $a/pattern/1M.* 404 "

# Without validators of its own a change of a mirror is not noticed.
start_nbdkit url="$a/pattern/1M" mirror="$b/pattern/1M?no-validators"
expect_text "warning" "$nbdkit_err" "warning: $b/pattern/1M[?.]*: the server sends neither ETag nor Last-Modified"
expect_no_text "warning" "$nbdkit_err" "warning: $a"
stop_nbdkit

# Files without a byte.
start_nbdkit url="$a/pattern/0" mirror="$b/pattern/0"
client <<< 'if Reader().h.get_size() != 0: sys.exit("size")'
expect_no_text "warning" "$nbdkit_err" 'mirror'
stop_nbdkit

# What is not taken.
wrong () { expect_failure run_nbdkit true url="$a/pattern/1M" "${@:2}"; expect_text "message" "$nbdkit_err" "$1"; }
wrong 'mirror=http://127.0.0.1/x: must have no user name and password; netrc=' mirror="http://me:secret@127.0.0.1/x"
expect_no_text "secret" "$nbdkit_err" "secret"
wrong 'is given twice' mirror="$a/pattern/1M"
expect_failure run_nbdkit true url=https://127.0.0.1/x mirror="$a/pattern/1M" protocols=https
expect_text "message" "$nbdkit_err" 'protocols.*does not allow http, which is what mirror='
