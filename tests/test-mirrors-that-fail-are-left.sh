#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# A mirror dies, stalls, changes or fails while it is read from: the others go on, and it is asked again when it is well.
# Only when all have failed does a read.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd
. "$srcdir/mirrors.sh"

# Few blocks are kept, so what is read again is asked for again.
serve ()
{
    on a origin_faults /pattern/16M ""
    on b origin_faults /pattern/16M ""
    : > "$a_log"; : > "$b_log"
    start_nbdkit -D httpcache.http=1 -- blocksize=64K cache-blocks=16 retry-delay=0.05 "$@" \
        url="$a/pattern/16M" mirror="$b/pattern/16M"
}

read_some=$(cat << 'END'
import random
rng, r = random.Random(2), Reader()
for i in range(200):
    r.start(rng.randrange(255) * 64 * KiB, 64 * KiB)
    if i >= 8:
        r.finish(sorted(r._flying)[0])
r.finish_all()
END
)
wait_for () { client "$2" <<< "$until_asked"; await_text "$nbdkit_err" "$1"; }

serve
client "$b_log" <<< "$until_asked"

# It dies, with connections open, and comes back.
on b origin_ctl "listen?mode=refuse"
on b origin_ctl drop
client <<< "$read_some"
expect_text "warning" "$nbdkit_err" "warning: the mirror $b/pattern/16M is set aside for a while: GET "
on b origin_ctl "listen?mode=ok"
client "$b_log" <<< "$until_asked"
expect_text "warning's end" "$nbdkit_err" "warning: the mirror $b/pattern/16M is used again"

# The first one may die as well.
on a origin_ctl "listen?mode=refuse"
on a origin_ctl drop
client <<< "$read_some"
on a origin_ctl "listen?mode=ok"
client "$a_log" <<< "$until_asked"
stop_nbdkit

# It drips, from the first answer on; and is left for the other, which is known to be faster.
serve timeout=3600
on b origin_faults /pattern/16M "drip=100"
client <<< "$read_some"
expect_at_least "requests that dripped" "$(blocks "$b_log")" 1
on b origin_faults /pattern/16M ""
stop_nbdkit

# It stalls, within bodies and before them: what was asked of it is asked of the other.
for how in stall=1000 stall-header; do
    serve
    client "$b_log" <<< "$until_asked"
    on b origin_faults /pattern/16M "$how"
    client <<< "$read_some"
    expect_text "warning" "$nbdkit_err" "the mirror $b/pattern/16M is set aside .*: (no byte for |.* others are much faster)"
    on b origin_faults /pattern/16M ""
    client "$b_log" <<< "$until_asked"
    stop_nbdkit
done

# It is silent from the start: the only connection is not taken from the other for asking it again.
on a origin_faults /pattern/16M ""
on b origin_faults /pattern/16M "stall-header"
on b origin_ctl reset
start_nbdkit -- connections=1 blocksize=64K cache-blocks=16 timeout=10 url="$a/pattern/16M" mirror="$b/pattern/16M"
on b origin_ctl "wait?requests=2"
client <<< "$read_some"
expect_no_text "failures" "$nbdkit_err" 'no byte for|set aside'
stop_nbdkit

# Nor if it is of the same server.
on a origin_ctl reset
start_nbdkit -- connections=1 blocksize=64K cache-blocks=16 timeout=10 url="$a/pattern/16M" \
    mirror="$a/pattern/16M?stall-header"
on a origin_ctl "wait?requests=5"
client <<< "$read_some"
expect_no_text "failures" "$nbdkit_err" 'no byte for|set aside'
stop_nbdkit

# It answers 503, or 404.
for status in 503 404; do
    serve
    client "$b_log" <<< "$until_asked"
    on b origin_faults /pattern/16M "status=$status"
    client <<< "$read_some"
    expect_text "warning" "$nbdkit_err" "the mirror $b/pattern/16M is set aside .* answered $status"
    on b origin_faults /pattern/16M ""
    client "$b_log" <<< "$until_asked"
    stop_nbdkit
done

# With retries=0, too, a read fails only when all have.
serve retries=0
client "$b_log" <<< "$until_asked"
on b origin_faults /pattern/16M "status=404"
client <<< "$read_some"
expect_text "warning" "$nbdkit_err" "the mirror $b/pattern/16M is set aside .* answered 404"
stop_nbdkit

# It changes: its new bytes are nobody's.  When it has the old file again, it is asked again.
serve
client "$b_log" <<< "$until_asked"
on b origin_faults /pattern/16M "new-etag&shift=4096"
client <<< "$read_some"
expect_text "warning" "$nbdkit_err" "the mirror $b/pattern/16M is set aside .* has changed"
on b origin_faults /pattern/16M ""
client "$b_log" <<< "$until_asked"
# All have.
on a origin_faults /pattern/16M "new-etag&shift=4096"
on b origin_faults /pattern/16M "new-etag&shift=4096"
client << 'END'
import random
rng, r = random.Random(3), Reader()
try:
    while True:
        r.read(rng.randrange(255) * 64 * KiB, 64 * KiB)
except nbd.Error as error:
    if error.errnum != errno.EIO:
        sys.exit(f"errno {error.errnum}")
END
expect_equal "messages" "$(grep -c 'error: GET .* has changed, from ' "$nbdkit_err")" 1
stop_nbdkit

# One does not have it any more and the other is away for a moment: that one is waited for.
serve
client "$b_log" <<< "$until_asked"
on b origin_ctl "listen?mode=refuse"
on b origin_ctl drop
on a origin_faults /pattern/16M "status=404"
start_client << 'END'
Reader().read(7 * MiB, 256 * KiB)
END
await_text "$nbdkit_err" "retry in .* 404 "
on b origin_ctl "listen?mode=ok"
wait "$client_pid"
expect_no_text "errors" "$nbdkit_err" 'error: GET'
stop_nbdkit

# All are dead: a read fails after the time for it, and says what each said; then one lives again.
serve retry-max-time=1
client "$b_log" <<< "$until_asked"
on a origin_ctl "listen?mode=refuse"; on b origin_ctl "listen?mode=refuse"
on a origin_ctl drop; on b origin_ctl drop
client << 'END'
import random
rng, r = random.Random(3), Reader()
try:
    while True:
        r.read(rng.randrange(255) * 64 * KiB, 64 * KiB)
except nbd.Error as error:
    if error.errnum != errno.EIO:
        sys.exit(f"errno {error.errnum}")
END
expect_text "message" "$nbdkit_err" "error: GET $a.*; from its mirror: GET $b|error: GET $b.*; from its mirror: GET $a"
on b origin_ctl "listen?mode=ok"
client << 'END'
r = Reader()
while True:
    try:
        r.read(5 * MiB, 64 * KiB)
        break
    except nbd.Error:
        pass
r.read(6 * MiB, 64 * KiB)
END
on a origin_ctl "listen?mode=ok"
client "$a_log" <<< "$until_asked"
stop_nbdkit
