#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# A failure that may pass is tried again as often and as long as retries=, retry-delay= and retry-max-time= say, by each
# reader's block for itself, and the message tells how often that was.  Who reads what is there does not notice.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin

# failing PARAMETER...: a read of what the server will not give; the requests for it.
failing ()
{
    start_nbdkit blocksize=64K readahead=0 "$@" url="$origin_url/pattern/1M"
    origin_faults /pattern/1M status=503
    : > "$origin_log"
    client << 'END'
r = Reader()
expect_error(errno.EIO, r.h.pread, 512, 512 * KiB)
r.read(0, 100)                                  # held
END
    origin_faults /pattern/1M ""
    client << 'END'
Reader().read(512 * KiB, 512)                   # the server is well again
END
    stop_nbdkit
    failures=$(($(count_requests path=/pattern/1M) - 1))
}

failing retries=3 retry-delay=0.01
expect_equal "attempts with retries=3" "$failures" 4
expect_text "message" "$nbdkit_err" '503 Service Unavailable \(tried 4 times in '
failing retries=0
expect_equal "attempts with retries=0" "$failures" 1
expect_no_text "message of a single attempt" "$nbdkit_err" 'tried'
# The time, not the number, ends it: from 10 ms on doubled up to 1 s that is some eight attempts, and never a thousand.
failing retries=1000 retry-delay=0.01 retry-max-time=1
expect_at_least "attempts in a second" "$failures" 3
expect_at_most "attempts in a second" "$failures" 16
expect_text "message" "$nbdkit_err" 'tried [0-9]+ times in 1\.'

# A server that is away for longer than the old patience of a few seconds: the read waits, another is served meanwhile.
start_nbdkit -D httpcache.http=1 -- blocksize=64K readahead=0 url="$origin_url/pattern/1M"
origin_faults /pattern/1M "status=503&times=7"
start_client << 'END'
Reader().read(512 * KiB, 512)
END
origin_ctl "wait?requests=2"
client << 'END'
Reader().read(0, 100)
END
wait "$client_pid"
expect_no_text "an error that the reader should not have seen" "$nbdkit_err" 'error: GET'

# A server that asks to be left alone for an hour, after it has answered another request: retry-max-time is over first.
start_nbdkit blocksize=64K readahead=0 retry-max-time=$((2 * time_factor)) url="$origin_url/pattern/1M"
origin_faults /pattern/1M "gate=later&status=503&retry-after=3600&at=524288"
start_client << 'END'
expect_error(errno.EIO, Reader().h.pread, 512, 512 * KiB)
END
origin_ctl "wait?gate=later&waiting=1"
client << 'END'
Reader().read(128 * KiB, 512)
END
origin_ctl "open?gate=later"
wait "$client_pid"
expect_text "message" "$nbdkit_err" '503 Service Unavailable, and is not to be asked again for 3600 s; bytes 524288-589823 waited [0-9]+\.[0-9] s for the server'
origin_faults /pattern/1M ""
stop_nbdkit

# At the start nobody is kept waiting for two minutes, nor tried at all if so wished.
: > "$origin_log"
expect_failure run_nbdkit true retries=0 url="$origin_url/pattern/1M?status=503&start_"
expect_equal "attempts at the start with retries=0" "$(count_requests query~start_)" 1
expect_failure run_nbdkit true retry-delay=0.01 url="$origin_url/pattern/1M?status=503&again_"
expect_equal "attempts at the start" "$(count_requests query~again_)" 4

# The first wait is a random half to all of retry-delay=.
start_nbdkit -D httpcache.http=1 -- blocksize=64K readahead=0 retry-delay=3600 retry-max-time=0 \
    url="$origin_url/pattern/1M?status=503&at=512K"
start_client <<< 'expect_error(errno.ESHUTDOWN, Reader().h.pread, 512, 512 * KiB)'
await_text "$nbdkit_err" 'retry in [123][0-9]{6} ms'
expect_no_text "the wait" "$nbdkit_err" 'retry in 1[0-7][0-9]{5} ms|retry in 3[7-9][0-9]{5} ms'
stop_nbdkit
wait "$client_pid"
