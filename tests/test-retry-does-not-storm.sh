#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# 64 readers of a server that is down ask it hardly more often than one: its failures are everybody's, and one goes first
# when the wait is over.  All are served when it is back; who reads what is there does not notice.  The number of attempts
# is bounded by the waits, whatever the machine: without this each reader would make them for itself.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin

read_64=$(cat << 'END'
readers = [Reader() for _ in range(4)]
reads = [(readers[i % 4], readers[i % 4].start((i + 1) * 128 * KiB, 512)) for i in range(64)]
END
)
all_fail=$read_64$(cat << 'END'

for reader, cookie in reads:
    expect_error(errno.EIO, reader.finish, cookie)
readers[0].read(0, 64 * KiB)                    # held
END
)
attempts () { grep -c '#[0-9]* start bytes=' "$nbdkit_err"; }
serve () { start_nbdkit -D httpcache.http=1 -- blocksize=64K readahead=0 "$@" url="$origin_url/pattern/16M"; }

# 503, for two seconds: up to 16 when it begins, then one each 0.1 seconds at most.
serve retries=1000 retry-delay=0.2 retry-max-time=2
origin_faults /pattern/16M status=503
client <<< "$all_fail"
expect_at_most "attempts with 503" "$(attempts)" 50
expect_text "message" "$nbdkit_err" 'error: GET .* 503 Service Unavailable; bytes [0-9]+-[0-9]+ waited'
origin_faults /pattern/16M ""
client << 'END'
Reader().read(MiB, 512)                         # and then the server is well again
END
stop_nbdkit

# Nobody listens.
serve retries=4 retry-delay=0.2
origin_ctl "listen?mode=refuse"
origin_ctl drop
client <<< "$all_fail"
expect_at_most "attempts to connect" "$(attempts)" 50
expect_text "message" "$nbdkit_err" "error: GET .*(refused|connect).*\(tried 5 times in"
origin_ctl "listen?mode=ok"
stop_nbdkit

# It is away for a while: all wait, a held block is read meanwhile, and then all are served.
serve retry-delay=0.1
origin_ctl "listen?mode=refuse"
origin_ctl drop
start_client <<< "$read_64$(cat << 'END'

for r in readers:
    r.finish_all()
END
)"
for n in 1 2 3; do
    await_text "$nbdkit_err" "retry in"
    client << 'END'
Reader().read(0, 64 * KiB)
END
done
origin_ctl "listen?mode=ok"
wait "$client_pid"
expect_no_text "errors" "$nbdkit_err" 'error: GET'
expect_at_most "attempts in all" "$(attempts)" 130
stop_nbdkit

# It may be the bytes that one wants with which the server has its trouble: others are not made to wait for them.
serve retry-delay=0.1 retry-max-time=20
origin_faults /pattern/16M "status=500&at=8M"
start_client << 'END'
Reader().read(8 * MiB, 512)
END
await_text "$nbdkit_err" "retry in"
client << 'END'
r = Reader()
for i in range(4):
    r.read(i * MiB, 512)
END
expect_no_text "errors" "$nbdkit_err" 'error: GET'
origin_faults /pattern/16M ""
wait "$client_pid"
