#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# What goes over the wire: aligned pieces of whole blocks, the export's offset added to each range, and a block that is
# held not asked for again.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd nbdcopy

bs=65536
start_origin

# all_aligned OFFSET END: every range since the last reset begins at a block's begin (counted from OFFSET) and ends at a
# block's end or at END.
all_aligned ()
{
    log_values request range "id~." | awk -F- -v offset="$1" -v end="$2" -v bs=$bs -v seen="$seen" '
        NR > seen && (($1 - offset) % bs || (($2 + 1 - offset) % bs && $2 + 1 != end)) { print; bad = 1 }
        END { exit bad }' >&2 || fail "ranges that are not of whole blocks"
}

# One block after the other, far apart: each a request of just that block.
seen=0
start_nbdkit blocksize=$bs readahead=0 url="$origin_url/pattern/16M"
client << 'END'
r = Reader()
for block in 5, 100, 50, 200, 17:
    r.read(block * 65536 + 1000, 5000)
    r.read(block * 65536 + 60000, 10)
END
all_aligned 0 16777216
for block in 5 100 50 200 17; do
    expect_equal "requests for block $block" "$(count_requests "range=$((block * bs))-$((block * bs + bs - 1))")" 1
done
expect_equal "requests, with the first one" "$(count_requests)" 6

# Held blocks are not asked for again, by whomever and in whatever pieces.
client << 'END'
r, s = Reader(), Reader()
for block in 17, 5, 100, 200, 50, 0:
    s.read(block * 65536, 65536)
    r.read(block * 65536 + 7, 4242)
END
expect_equal "requests after reading again" "$(count_requests)" 6

# A read over a block that is held and blocks that are not asks for those only.
client << 'END'
Reader().read(98 * 65536, 5 * 65536)            # 98, 99, (100), 101, 102
END
settle
expect_equal "blocks in all" "$(($(origin_ctl "stat?key=sent") / bs))" 10
all_aligned 0 16777216
stop_nbdkit

# The whole image with readahead, through an offset that is no multiple of anything and a size.
seen=$(count_requests)
origin_ctl reset
start_nbdkit blocksize=$bs offset=12345 size=5000001 url="$origin_url/pattern/16M"
nbdcopy "$nbd_uri" "$tmp/copy"
"$python" -c 'from origin.objects import pattern; import sys; sys.stdout.buffer.write(pattern(12345, 5000001))' > "$tmp/truth"
cmp "$tmp/truth" "$tmp/copy"
settle
all_aligned 12345 $((12345 + 5000001))
expect_equal "bytes fetched" "$(origin_ctl "stat?key=sent")" 5000001
