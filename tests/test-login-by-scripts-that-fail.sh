#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# A script that fails, hangs or prints junk is told at the start; later its requests are tried again as others are.  No
# other reader is held up by it, and nothing that it printed is shown.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd nbdinfo

start_origin
mkfifo "$tmp/never" "$tmp/begun"
let_all_go () { : <> "$tmp/never"; }            # should the test fail
cleanup_fn let_all_go
all=$tmp/all
flags=()
for flag in http cache readahead verbose times stats; do flags+=(-D "httpcache.$flag=1"); done

# wrong REGEX PARAMETERS...: not served, with this message; nothing was asked.
wrong ()
{
    local regex=$1
    shift
    expect_failure run_nbdkit 'nbdinfo "$uri"' "${flags[@]}" -- "$@" url="$origin_url/pattern/4M" 2>/dev/null
    expect_text "message for $*" "$nbdkit_err" "^nbdkit: .*error: GET $origin_url/pattern/4M bytes 0-262143: $regex"
    cat "$nbdkit_err" >> "$all"
}
wrong 'header-script= ended with exit status 3; on stderr it said: no luck today \(it must print headers' \
    header-script='echo "X-A: hunter2-out"; echo no luck today >&2; echo more >&2; exit 3'
wrong 'header-script= ended with exit status 1; on stderr it said: login of \*\*\* failed' \
    header-script='echo "Authorization: Bearer hunter2-both"; echo login of hunter2-both failed >&2; exit 1'
wrong 'header-script= ended with exit status 127; on stderr it said: .*no-such-command' header-script='no-such-command'
wrong 'header-script= was ended by signal 9 \(Killed\) \(' header-script='kill -9 $$'
wrong 'header-script= printed what is no header, in line 2: must be a name, a colon and a value' \
    header-script='echo "X-A: hunter2-first"; echo hunter2-second'
wrong 'header-script= printed what is no header, in line 1: may not hold' header-script='printf "X-A: hunter2\\000\\n"'
wrong 'header-script= printed what is no header, in line 1: may not hold' header-script='printf "X-A: hunter2\\033c\\n"'
wrong 'header-script= printed more than 65536 bytes \(' header-script='yes hunter2'
wrong 'cookie-script= printed 2 lines \(it must print one line' cookie-script='echo a=hunter2; echo b=hunter2'
wrong 'cookie-script= printed what is no cookie, in line 1: ' cookie-script='echo hunter2'
wrong 'cookie-script= ended with exit status 5' header-script='echo "X-A: hunter2"' cookie-script='exit 5'
wrong 'header-script= did not end within 1 seconds, and was killed \(timeout= is the time for scripts, too' \
    timeout=1 header-script="read x < '$tmp/never'"
expect_equal "requests" "$(count_requests)" 0

# Two that are slow, but each within its time: the server is not blamed for what they take together.
run_nbdkit true timeout=4 header-script="timeout 2.5 cat '$tmp/never'; echo 'X-A: b'" \
    cookie-script="timeout 2.5 cat '$tmp/never'; echo a=b" url="$origin_url/pattern/4M?require-header=Cookie:a=b"

# Later.  The script hangs: who has what is in the cache goes on, and so does what is on its way.
start_nbdkit "${flags[@]}" -- blocksize=64K readahead=0 header-script="
    [ \$iteration = 0 ] || { echo > '$tmp/begun'; read x < '$tmp/never'; }
    echo \"Authorization: Bearer hunter2-T\$iteration\"" \
    url="$origin_url/pattern/8M?bearer=hunter2-T0&times=2&bearer=hunter2-T1&after=2&gate=half&gate-at=1000&at=4M"
start_client "$tmp/begun" << 'END'
r = Reader()
under_way = r.start(4 * MiB, 64 * KiB)
r.read(4 * MiB, 1000)
waits = r.start(MiB, 64 * KiB)                  # refused
open(sys.argv[1]).read()
for i in range(100):
    r.read(0, 64 * KiB)
print("cached", flush=True)
r.finish(under_way)
print("under way", flush=True)
if r.done(waits):
    sys.exit("it did not wait for the script")
r.finish(waits)
print("all", flush=True)
END
exec {script}<> "$tmp/never"
await_text "$nbdkit_err" 'header-script= is run, iteration 1'
origin_ctl "wait?gate=half&waiting=1"
origin_ctl "open?gate=half"
await_text "$nbdkit_err" '#2 done'
echo >&"$script"
wait "$client_pid" || fail "reads while a script hangs"
exec {script}>&-
stop_nbdkit
expect_no_text "errors" "$nbdkit_err" 'error:'
cat "$nbdkit_err" >> "$all"

# It fails for a while: tried again, and readers just wait.
: > "$tmp/runs"
start_nbdkit "${flags[@]}" -- blocksize=64K readahead=0 retry-delay=0.01 header-script="
    echo run >> '$tmp/runs'
    [ \$iteration != 1 ] || exit 4
    [ \$iteration != 2 ] || echo hunter2-junk
    echo \"Authorization: Bearer hunter2-T\$iteration\"" \
    url="$origin_url/pattern/8M?bearer=hunter2-T0&times=1&bearer=hunter2-T3&after=1"
client << 'END'
r = Reader()
for i in range(8):
    r.start(i * MiB, 64 * KiB)
r.finish_all()
END
stop_nbdkit
expect_equal "runs" "$(wc -l < "$tmp/runs")" 4
expect_no_text "errors" "$nbdkit_err" 'error: GET'
cat "$nbdkit_err" >> "$all"

# For good: an error for the readers, who are told why; what is in the cache is still served, and a script that works
# again serves the rest.
start_nbdkit "${flags[@]}" -- blocksize=64K readahead=0 retries=1 retry-delay=0.01 header-script="
    [ \$iteration = 0 ] || cat '$tmp/mended' || exit 4
    echo \"Authorization: Bearer hunter2-T\$iteration\"" \
    url="$origin_url/pattern/8M?bearer=hunter2-T0&times=1&require-header=X-Mended:yes&after=1"
client "$tmp/mended" << 'END'
r = Reader()
r.read(0, 64 * KiB)
expect_error(errno.EIO, r.h.pread, 512, MiB)
r.read(0, 64 * KiB)
with open(sys.argv[1], "w", encoding="ascii") as mended:
    mended.write("X-Mended: yes\n")
r.read(MiB, 64 * KiB)
END
stop_nbdkit
cat "$nbdkit_err" >> "$all"
expect_text "message" "$nbdkit_err" "error: GET .*/pattern/8M\?\.\.\. bytes 1048576-[0-9]*: (server answered 403, and then: )?header-script= ended with exit status 4; on stderr it said: cat: .*mended.*tried 2 times"
expect_text "message" "$nbdkit_err" "retry in .*server answered 403, and then: header-script= ended"

# What works is not shown either.
start_nbdkit "${flags[@]}" -- http-version=1.1 header-script='echo "X-Own: hunter2-own"; echo "Authorization: Bearer hunter2-T0"
    echo hunter2-stderr >&2' cookie-script='echo "a=hunter2-cookie"' \
    url="$origin_url/pattern/4M?www-authenticate=hunter2-own&status=401&after=1"
nbdinfo "$nbd_uri" >> "$all" 2>&1
client << 'END' >> "$all" 2>&1
r = Reader()
expect_error(errno.EIO, r.h.pread, 512, MiB)
END
stop_nbdkit
cat "$nbdkit_err" >> "$all"
expect_text "the server's words" "$nbdkit_err" 'Www-Authenticate|WWW-Authenticate'
expect_at_least "lines that could tell" "$(wc -l < "$all")" 200
expect_no_text "secrets in what was said" "$all" 'hunter2'
