#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# SIGTERM ends nbdkit within two seconds wherever a transfer hangs: no answer, no end of the headers, no end of the body,
# a connection that is never served, a retry that is waited for; with the reader still waiting or long gone.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin
# hangs QUERY: while a client waits for an answer of this kind.
hangs ()
{
    start_nbdkit blocksize=64K readahead=0 url="$origin_url/pattern/16M?$1&at=8M"
    start_client << 'END'
try:
    Reader().read(8 * MiB, 4096)
except nbd.Error:
    pass
END
    origin_ctl "wait?$2"
    stop_nbdkit 2
    wait "$client_pid" || fail "the client: $1"
    origin_ctl "wait?open=0"
}

hangs stall-header stalled=1
hangs stall-header=20 stalled=1
hangs stall=0 stalled=1
hangs stall=1000 stalled=1
hangs "gate=g" "waiting=1&gate=g"
hangs "drip=1000" "in_progress=1"
origin_ctl reset
hangs "status=503&retry-after=1000" "answers=2"         # the first one read the beginning

# Nobody waits for it: a prefetch.
start_nbdkit blocksize=64K url="$origin_url/pattern/16M?stall=100&at=8M&"
client << 'END'
Reader().h.cache(100000, 8 * MiB)
END
origin_ctl "wait?stalled=1"
stop_nbdkit 2

# Several at once, over TLS, and the server does not even shake hands.
make_certificates
start_origin --tls "$tls_cert" "$tls_key"
start_nbdkit cainfo="$tls_ca" blocksize=64K readahead=0 url="$origin_url/pattern/16M?close-after"
origin_ctl "wait?open=0"
origin_ctl "listen?mode=hang"
start_client << 'END'
readers = [Reader() for _ in range(8)]
for i, r in enumerate(readers):
    r.start((i + 1) * MiB, 65536)
for r in readers:
    try:
        r.finish_all()
    except nbd.Error:
        pass
END
origin_ctl "wait?open=8"
stop_nbdkit 2
wait "$client_pid"
