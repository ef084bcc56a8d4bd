#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Several mirrors have trouble at a time, each its own: nothing senseless is asked for, nobody waits for one while another
# is there, and what all fail at is not asked of them in turns without a rest.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd
. "$srcdir/mirrors.sh"

# serve PARAMETER...: without faults, both known, the logs empty.
serve ()
{
    on a origin_faults /pattern/16M ""
    on b origin_faults /pattern/16M ""
    : > "$a_log"; : > "$b_log"
    start_nbdkit -D httpcache.http=1 -- blocksize=64K cache-blocks=16 readahead=0 retry-delay=0.05 "$@" \
        url="$a/pattern/16M" mirror="$b/pattern/16M"
    await_text "$nbdkit_err" "mirror $b/pattern/16M is asked from now on"
}

# One brings all that was asked for, but its answers do not end; then it is silent, and is left.  Of those answers there is
# nothing more to ask for.
serve
on b origin_faults /pattern/16M "chunked&extra=16&stall=65536"
client "$b_log" << 'END'
r = Reader()
for block in range(8):
    r.start(block * MiB, 64 * KiB)
r.finish_all()
END
expect_at_least "answers without an end" "$(blocks "$b_log")" 1
on a origin_faults /pattern/16M "gate=a"        # so that all its connections are in use
on b origin_faults /pattern/16M "stall=1000"
on b origin_ctl reset
start_client << 'END'
r = Reader()
for block in range(12):
    r.start(block * MiB + 512 * KiB, 64 * KiB)
r.finish_all()
END
on b origin_ctl "wait?requests=1"
on a origin_ctl "open?gate=a"
wait "$client_pid"
expect_text "warning" "$nbdkit_err" "the mirror $b/pattern/16M is set aside .*: (no byte for |.* others are much faster)"
for log in "$a_log" "$b_log"; do
    origin_log=$log log_values request range | awk -F- '$2 < $1 { print; bad = 1 } END { exit bad }' ||
        fail "ranges of no bytes were asked for"
done
stop_nbdkit

# One breaks off a transfer, which is to go on at the other when that has a connection free; but then that one wants to
# be left alone for a while.  So the first brings it after all, and at once.
serve connections=2
on a origin_faults /pattern/16M "cut=100&times=1"
on b origin_faults /pattern/16M "gate=b&status=503&retry-after=5&times=1"
start_client << 'END'
r = Reader()
for block in range(1, 3):
    r.start(block * MiB, 64 * KiB)
r.finish_all()
END
on b origin_ctl "wait?gate=b&waiting=1"
await_text "$nbdkit_err" "another mirror is asked: GET $a"
on b origin_ctl "open?gate=b"
wait "$client_pid"
expect_equal "requests of who is left alone" "$(blocks "$b_log")" 1
expect_text "its check" "$nbdkit_err" "mirror $b/pattern/16M is checked in 5 s"
expect_no_text "errors" "$nbdkit_err" 'error: GET'
stop_nbdkit

# Both are well but for the same bytes, and bring others meanwhile.  Each is asked for them once, then there is a wait.
serve retries=8
for x in a b; do on $x origin_faults /pattern/16M "delay=20&status=503&at=$((5 << 20))"; done
client << 'END'
import random, threading
ended = threading.Event()
def keep_them_well():
    rng, r = random.Random(5), Reader()
    while not ended.is_set():
        for _ in range(8):
            r.start(rng.randrange(16) * MiB + 512 * KiB, 64 * KiB)
        r.finish_all()
others = threading.Thread(target=keep_them_well)
others.start()
expect_error(errno.EIO, Reader().read, 5 * MiB, 64 * KiB)
ended.set()
others.join()
END
lines () { grep -cE "$1 GET .*bytes $((5 << 20))-" "$nbdkit_err" || true; }
in_turns=$(lines 'another mirror is asked:') waits=$(lines 'retry in [0-9]+ ms:')
expect_at_most "turns without a wait" "$in_turns" $((waits + 1))
expect_text "message" "$nbdkit_err" "error: GET .*bytes 5242880-.*tried (9|10) times"
stop_nbdkit

# The script for the login of one takes its time: the other brings what waits for that.
mkfifo "$tmp/slow"
printf 'if [ -e "%s" ]; then read -r _ < "%s"; fi; : > "%s"; echo "X-Login: me"\n' \
    "$tmp/was_run" "$tmp/slow" "$tmp/was_run" > "$tmp/login.sh"
serve header-script="sh '$tmp/login.sh'" header-script-renew=1
start_client "$tmp/enough" << 'END'
import random
rng, r = random.Random(7), Reader()
while not os.path.exists(sys.argv[1]):
    for _ in range(12):
        r.start(rng.randrange(255) * 64 * KiB, 64 * KiB)
    r.finish_all()
END
await_text "$nbdkit_err" "the mirror $a/pattern/16M is set aside .*: waits for a script for "
: > "$tmp/enough"
wait "$client_pid"
stop_nbdkit

# Both think for as long as a silence lasts about some bytes, and a half more: who is asked again is given more time.
serve
for x in a b; do on $x origin_faults /pattern/16M "delay=3000&at=$((5 << 20))"; done
client << 'END'
Reader().read(5 * MiB, 64 * KiB)
END
for x in a b; do
    origin_log=$(eval echo "\$${x}_log")
    expect_at_most "requests" "$(log_values request range path=/pattern/16M | grep -c "^$((5 << 20))-")" 2
done
stop_nbdkit

# Both are silent about some bytes for ever, and there is no limit of time: retries= is one.
serve retries=1 retry-max-time=0 timeout=$((3 * time_factor))
for x in a b; do on $x origin_faults /pattern/16M "stall-header&at=$((5 << 20))"; done
client << 'END'
expect_error(errno.EIO, Reader().read, 5 * MiB, 64 * KiB)
END
stop_nbdkit

# All are aside, and one that is asked nevertheless is silent: it is left for another that comes back.
serve timeout=60
for x in a b; do on $x origin_ctl "listen?mode=refuse"; on $x origin_ctl drop; done
on b origin_faults /pattern/16M "status=503&at=16777215&stall-header&at=$((5 << 20))"
start_client << 'END'
Reader().read(5 * MiB, 64 * KiB)
END
for url in "$a" "$b"; do await_text "$nbdkit_err" "mirror $url/pattern/16M is set aside"; done
on b origin_ctl "listen?mode=ok"
await_text "$b_log" "request .*range=$((5 << 20))-"
on a origin_ctl "listen?mode=ok"
wait "$client_pid"
expect_no_text "an answer that was waited for" "$nbdkit_err" "no byte for 60 seconds"
stop_nbdkit
