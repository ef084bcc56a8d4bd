#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# A server that restarts, or whose machine is gone for a while: who wants what is not there waits, and nobody else notices.
# When it stays away it is an error that tells of the attempts, and the next read tries again.  What will not pass, such as
# a certificate that is not trusted any more, is said at once.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd openssl

held='Reader().read(0, 64 * KiB)'
serve ()
{
    start_nbdkit -D httpcache.http=1 -- blocksize=64K readahead=0 retry-delay=0.1 "$@"
    client <<< "$held"                          # all of it has come
}
attempts () { grep -c '#[0-9]* start bytes=' "$nbdkit_err"; }

# The process ends, and another begins.
start_origin --unix "$tmp/origin.sock"
serve unix-socket-path="$tmp/origin.sock" url="$origin_url/pattern/16M"
stop_origin
start_client <<< 'Reader().read(8 * MiB, MiB)'
await_text "$nbdkit_err" "retry in .*: check that a server listens there"
client <<< "$held"
start_origin --unix "$tmp/origin.sock"
wait "$client_pid"
expect_no_text "errors" "$nbdkit_err" 'error: GET'
stop_nbdkit

# The machine is gone: not even a refusal comes back.
start_origin
serve connect-timeout=1 url="$origin_url/pattern/16M"
origin_ctl "listen?mode=deaf"
origin_ctl drop
start_client << 'END'
readers = [Reader() for _ in range(4)]
for i in range(16):
    readers[i % 4].start(MiB + i * 256 * KiB, 512)
for r in readers:
    r.finish_all()
END
for n in 1 2; do
    await_text "$nbdkit_err" "retry in .*[Tt]imed? ?out"
    client <<< "$held"
    : > "$nbdkit_err"
done
origin_ctl "listen?mode=ok"
wait "$client_pid"
expect_no_text "errors" "$nbdkit_err" 'error: GET'
stop_nbdkit

# Whoever looks why a client does nothing finds it.
serve url="$origin_url/pattern/16M"
origin_ctl "listen?mode=refuse"
origin_ctl drop
start_client <<< 'Reader().read(8 * MiB, MiB)'
await_text "$nbdkit_err" "error: warning: GET $origin_url/pattern/16M .*\(reads wait for it, and it is tried again\)"
origin_ctl "listen?mode=ok"
wait "$client_pid"
expect_equal "warnings" "$(grep -c 'warning: GET' "$nbdkit_err")" 1
stop_nbdkit

# But not by each of those that meet it.
serve retry-delay=20 url="$origin_url/pattern/16M"
faults=
for i in 8 9 10 11; do faults+="&gate=all&status=503&at=${i}M"; done
origin_faults /pattern/16M "${faults#&}"
start_client << 'END'
r = Reader()
cookies = [r.start(i * MiB, 512) for i in range(8, 12)]
for cookie in cookies:
    expect_error(errno.ESHUTDOWN, r.finish, cookie)
END
origin_ctl "wait?gate=all&waiting=4"
origin_ctl "open?gate=all"
for n in 1 2 3 4; do await_text "$nbdkit_err" "done bytes=$(((7 + n) << 20))-.*status=503"; done
stop_nbdkit
wait "$client_pid"
expect_equal "warnings of four" "$(grep -c 'warning: GET' "$nbdkit_err")" 1
origin_faults /pattern/16M ""

# For good, as far as the reader's time goes.
# gone MODE REGEX PARAMETER...
gone ()
{
    serve "${@:3}" url="$origin_url/pattern/16M"
    origin_ctl "listen?mode=$1"
    origin_ctl drop
    client << 'END'
r = Reader()
expect_error(errno.EIO, r.h.pread, 512, MiB)
r.read(0, 64 * KiB)
END
    client <<< "$held"
    expect_text "message" "$nbdkit_err" "error: GET $origin_url/pattern/16M bytes [0-9-]*: $2 \(tried [2-9][0-9]* times"
    origin_ctl "listen?mode=ok"
    client <<< 'Reader().read(MiB, 512)'
    stop_nbdkit
}
gone refuse "Couldn't connect to server: .*" retry-max-time=1 retries=1000
gone deaf "Timeout was reached: .*" retries=1 connect-timeout=1
# For a connection that is being made its own limit holds, also if it is longer.
gone deaf "Timeout was reached: .* after [23][0-9]* m.*" retries=1 connect-timeout=2 timeout=1

# One connection and two threads: a block that the server fails to give holds neither of them, but for its reader.
start_nbdkit -t 2 -- blocksize=64K readahead=0 connections=1 retry-delay=0.05 retries=1000 retry-max-time=0 \
    url="$origin_url/pattern/16M"
origin_faults /pattern/16M "status=503&at=8M"
origin_ctl reset
client << 'END'
r = Reader()
failing = r.start(8 * MiB, 512)
for i in range(1, 9):
    r.read(i * 256 * KiB, 512)
    assert not r.done(failing)
END
expect_at_least "requests for what fails" "$(log_values answer id status=503 | wc -l)" 1
stop_nbdkit
origin_faults /pattern/16M ""

# The certificate is replaced by one of a CA that is not trusted.
make_certificates
make_certificate other other-ca
start_origin --unix "$tmp/tls.sock" --tls "$tls_cert" "$tls_key"
serve cainfo="$tls_ca" unix-socket-path="$tmp/tls.sock" url="$origin_url/pattern/16M"
stop_origin
start_origin --unix "$tmp/tls.sock" --tls "$tmp/tls/other.pem" "$tmp/tls/other-key.pem"
: > "$nbdkit_err"
client << 'END'
r = Reader()
expect_error(errno.EIO, r.h.pread, 512, MiB)
r.read(0, 64 * KiB)
END
expect_text "message" "$nbdkit_err" 'error: .*certificate.*cainfo='
expect_no_text "message" "$nbdkit_err" 'tried|retry in'
expect_at_most "attempts" "$(attempts)" 1
expect_equal "requests" "$(count_requests)" 0
