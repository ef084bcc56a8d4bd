#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# A script inherits no descriptors, and what it leaves in the background holds up nothing; nbdkit ends at once while one
# hangs, at the start and later, and leaves no process of it.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd nbdcopy

start_origin
mkfifo "$tmp/never" "$tmp/alive"
let_all_go () { : <> "$tmp/never"; }            # should the test fail
cleanup_fn let_all_go
# later: the URL; the second request is refused, so the script runs again.
later () { origin_ctl reset; later="$origin_url/pattern/4M?bearer=T0&times=1&bearer=T1&after=1"; }
token='echo "Authorization: Bearer T$iteration"'
# A process tree that waits for ever, and by its FIFO shows that it is there: all of it holds that open.
hang="exec 5> '$tmp/alive'; (read x < '$tmp/never') & read x < '$tmp/never'"

# await_gone WHAT: until no process has it open.
await_gone ()
{
    _await_end "$alive" $((10 * time_factor)) || fail "$1 has left processes"
    exec {alive}<&-
}

# reads_once: a client that reads what is not there yet, whatever becomes of it.
reads_once ()
{
    start_client << 'END'
try:
    Reader().read(MiB, 512)
except nbd.Error:
    pass
END
}

# Descriptors of nbdkit's: those it has inherited (9 is one), its sockets, a client, and libcurl's.  3 is how ls reads.
later
start_nbdkit header-script="ls /proc/self/fd >> '$tmp/descriptors'; $token" url="$later"
client << 'END'
Reader().read(MiB, 512)
END
expect_at_least "descriptors of nbdkit" "$(find "/proc/$nbdkit_pid/fd" -type l | wc -l)" 8
stop_nbdkit
expect_equal "descriptors of two scripts" "$(tr '\n' ' ' < "$tmp/descriptors")" "0 1 2 3 0 1 2 3 "

# Something stays in the background and holds stdout and stderr open.
later
start_nbdkit header-script="$token; if [ \$iteration = 1 ]; then ($hang) & fi" url="$later"
client << 'END'
Reader().read(MiB, 512)
END
exec {alive}< "$tmp/alive"
stop_nbdkit 2
exec {never}<> "$tmp/never"
printf '\n\n' >&"$never"
await_gone "the end of what was left in the background"
exec {never}>&-

# SIGTERM while a script hangs.
later
start_nbdkit header-script="if [ \$iteration = 1 ]; then $hang; fi; $token" url="$later"
reads_once
exec {alive}< "$tmp/alive"
stop_nbdkit 2
wait "$client_pid"
await_gone "SIGTERM"

# The end of --run's command, whose status is nbdkit's.
later
status=0
run_nbdkit "'$python' -m nbd -u \"\$uri\" -c 'h.pread(512, 1 << 20)' & read x < '$tmp/alive'; exit 7" \
    header-script="if [ \$iteration = 1 ]; then echo > '$tmp/alive'; $hang; fi; $token" \
    url="$later" 2> "$tmp/run.err" &
run_pid=$!
exec {alive}< "$tmp/alive"
wait $run_pid || status=$?
expect_equal "status of --run" $status 7
await_gone "the end of --run"

# SIGTERM at the start.
"$NBDKIT" -U - httpcache header-script="$hang" url="$origin_url/pattern/4M" --run true 2> "$tmp/start.err" &
pid=$!
exec {alive}< "$tmp/alive"
kill "$pid"
status=0
wait "$pid" || status=$?
expect_equal "status of nbdkit" $status 143
await_gone "SIGTERM at the start"

# nbdkit forks when it has what it needs of the first answer, while a script runs for a request beside it, which was
# refused: the script runs again for the process that goes on.
slow_net FAKE_TRIP_US=40000
origin_ctl reset
run_nbdkit 'nbdcopy "$uri" null:' -D httpcache.http=1 -- blocksize=64K \
    header-script="if [ \$iteration = 1 ]; then $hang; fi; $token" \
    url="$origin_url/pattern/1M?gate=first&at=0&times=1&gate=late&bearer=T2&at=128K" 2> /dev/null &
run_pid=$!
origin_ctl "wait?gate=late&waiting=1"
await_text "$tmp/run-nbdkit.err" 'done bytes=65536-.*status=206'
origin_ctl "open?gate=late"
exec {alive}< "$tmp/alive"
origin_ctl "open?gate=first"
wait $run_pid || fail "copy after the fork: $(cat "$nbdkit_err")"
await_gone "the fork"
expect_no_text "messages" "$tmp/run-nbdkit.err" 'ended unnoticed|error:'
slow_net

# Those that hang for too long, likewise.
later
start_nbdkit timeout=1 retries=0 header-script="if [ \$iteration = 1 ]; then $hang; fi; $token" url="$later"
reads_once
exec {alive}< "$tmp/alive"
await_gone "the time limit"
wait "$client_pid"
stop_nbdkit
expect_text "message" "$nbdkit_err" 'header-script= did not end within 1 seconds, and was killed'

# Whoever starts nbdkit may ignore SIGCHLD; how a script ends is known all the same.
"$python" - "$NBDKIT" -U - httpcache header-script='exit 3' url="$origin_url/pattern/4M" --run true << 'END' 2> "$tmp/ignored.err" || true
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
END
expect_text "message" "$tmp/ignored.err" 'header-script= ended with exit status 3'
