#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# libcurl looks names up in a thread of its own.  One that takes long must hold up neither nbdkit's end nor other
# transfers, and none may be under way when nbdkit forks (libcurl would wait for a thread that is not there).
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

slow_net SLOW_DNS_S=20
start_origin
port=${origin_url##*:}

# A later request is redirected to a host whose name takes 20 s.
start_nbdkit blocksize=64K readahead=0 url="$origin_url/pattern/1M?redirect=http://slow.test:$port/pattern/1M&at=512K"
start_client << 'END'
r = Reader()
r.read(0, 1000)
expect_error(errno.ESHUTDOWN, r.h.pread, 512, 512 * KiB)
END
origin_ctl "wait?requests=2"
stop_nbdkit $((2 * time_factor))
wait "$client_pid"

# A scout that is redirected to such a host is not followed there.
slow_net SLOW_DNS_S=20 FAKE_TRIP_US=40000
start_nbdkit -D httpcache.http=1 -- blocksize=64K \
    url="$origin_url/pattern/1M?delay=100&at=0&on=1&redirect=http://slow.test:$port/pattern/1M&at=64K&on=1"
client << 'END'
Reader().read(0, MiB)
END
stop_nbdkit $((2 * time_factor))
expect_text "the scout was redirected" "$nbdkit_err" '#2 done .* status=302 '
expect_no_text "and followed" "$nbdkit_err" '#2 redirect'
