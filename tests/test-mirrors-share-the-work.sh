#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Several places have the file: each brings a part of it, none of it twice, and nobody is asked who does not have it.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd
. "$srcdir/mirrors.sh"

# Each mirror has a server, and a log, of its own.
start_origin
c=$origin_url c_log=$origin_log

serve ()
{
    : > "$a_log"; : > "$b_log"; : > "$c_log"
    start_nbdkit -D httpcache.http=1 -- blocksize=64K "$@"
}

# Client code: all 16M, a few reads at a time.
read_all='r = Reader()
for i in range(64):
    r.start(i * 256 * KiB, 256 * KiB)
    if i >= 4:
        r.finish(sorted(r._flying)[0])
r.finish_all()'

# Three that are alike: each brings a good part.
for origin_control in "$a_control" "$b_control"; do
    origin_faults /pattern/16M "rate=4M"
done
serve url="$a/pattern/16M" mirror="$b/pattern/16M" mirror="$c/pattern/16M?rate=4M"
client <<< "$read_all"
stop_nbdkit
sum=0
for log in "$a_log" "$b_log" "$c_log"; do
    expect_at_least "blocks asked of a mirror" "$(blocks "$log")" 10
    for sent in $(origin_log=$log log_values answer sent path=/pattern/16M); do sum=$((sum + sent)); done
done
# The samples come from each.
expect_at_most "bytes sent by all" $sum $((16 * 1024 * 1024 + 7 * 65536))

# One that is far slower is given less, and in the end nothing.
origin_control=$a_control origin_faults /pattern/16M "rate=8M"
origin_control=$b_control origin_faults /pattern/16M "rate=200K"
serve url="$a/pattern/16M" mirror="$b/pattern/16M"
client <<< "$read_all"
stop_nbdkit
expect_text "warning" "$nbdkit_err" "warning: the mirror $b/pattern/16M is set aside for a while: GET $b/.* bytes .* seconds, others are much faster"
expect_at_most "requests to the slow one" "$(blocks "$b_log")" 40
expect_at_least "requests to the fast one" "$(blocks "$a_log")" 40

# Each is asked where its own redirect leads, which is followed for the check alone.
origin_control=$a_control origin_faults /pattern/16M ""
serve url="$a/pattern/16M" mirror="$b/x?redirect=$(urlencode "$c/pattern/16M")"
client <<< "$read_all"
stop_nbdkit
expect_equal "requests redirected" "$(origin_log=$b_log count_requests path=/x)" 1
expect_at_least "requests where it leads" "$(blocks "$c_log")" 2

# What the user gave for url= no mirror is told.
start_origin --log-headers
b=$origin_url b_log=$origin_log
serve user=alice password=wonderland header='X-Key: rabbit' cookie=hole=deep url="$a/pattern/16M" mirror="$b/pattern/16M"
client <<< "$read_all"
stop_nbdkit
expect_at_least "requests to the mirror" "$(blocks "$b_log")" 2
expect_no_text "what the mirror was told" "$b_log" 'alice|uthorization|rabbit|hole'
: > "$b_log"
serve bearer-token=rabbit header-script="echo 'X-Key: hole'" cookie-script="echo deep=alice" url="$a/pattern/16M" \
    mirror="$b/pattern/16M"
client <<< "$read_all"
stop_nbdkit
expect_at_least "requests to the mirror" "$(blocks "$b_log")" 2
expect_no_text "what the mirror was told" "$b_log" 'alice|uthorization|rabbit|hole'

# What netrc has for its host it is told, and nobody else.
start_origin --log-headers
a=$origin_url a_log=$origin_log
printf 'machine localhost login bob password builder\n' > "$tmp/netrc"
chmod 600 "$tmp/netrc"
serve netrc="$tmp/netrc" url="$a/pattern/16M" mirror="${b/127.0.0.1/localhost}/pattern/16M?basic=bob:builder"
client <<< "$read_all"
stop_nbdkit
expect_at_least "requests to the mirror" "$(blocks "$b_log")" 2
expect_text "login of the mirror" "$b_log" 'name=Authorization'
expect_no_text "what the other was told" "$a_log" 'uthorization'
