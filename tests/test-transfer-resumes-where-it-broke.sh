#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# A body that is cut or an answer that is shorter than asked goes on from the very byte it reached, a bounded number of
# times; the reader sees right bytes or, in the end, an error, and the next read tries afresh.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin --log-headers

# resumed QUERY: a read of one block of 1M at 4M, whose transfer meets the fault.
resumed ()
{
    start_nbdkit blocksize=1M readahead=0 url="$origin_url/pattern/16M?$1&at=4M"
    client << 'END'
Reader().read(4 * MiB, MiB)
END
    stop_nbdkit
}
at=$((4 << 20)) end=$(((5 << 20) - 1))

resumed "cut=300000&times=1"
expect_equal "ranges after a cut" "$(log_values request range "query=cut=300000&times=1&at=4M" | tail -n +2 | xargs)" \
    "$at-$end $((at + 300000))-$end"
resumed "cut=0&times=1"
expect_equal "ranges after a cut at 0" "$(log_values request range "query=cut=0&times=1&at=4M" | tail -n +2 | xargs)" \
    "$at-$end $at-$end"
resumed "short=1000&times=1"
expect_equal "ranges after a short answer" \
    "$(log_values request range "query=short=1000&times=1&at=4M" | tail -n +2 | xargs)" "$at-$end $((at + 1000))-$end"
# Every answer is, and is no failure, however short.
for length in 600 1000 20000; do
    start_nbdkit blocksize=64K readahead=0 retries=0 url="$origin_url/pattern/1M?short=$length"
    client <<< 'Reader().read(128 * KiB, 256 * KiB)'
    stop_nbdkit
done
resumed "cut=300000&cut-how=rst&times=1"        # how much of it came nobody knows
resumed "long=5000&times=1"
resumed "no-length&cut=300000&times=1"
resumed "short=1000&extra=5000&chunked&times=1"  # what follows the range it promised is not data
resumed "chunked&cut=300000&times=1"
resumed "http10&cut=300000&times=1"
resumed "cut-header=20&times=1"
resumed "cut-header=60&times=1"                 # behind the status line
resumed "cut-header=200&times=1"
resumed "status=503&times=1"
resumed "close-after"
resumed "interim=100,103"

# The same over TLS, where a cut without close_notify looks like an end if no length was told.
make_certificates
plain_url=$origin_url plain_log=$origin_log plain_control=$origin_control
start_origin --tls "$tls_cert" "$tls_key"
for query in "cut=300000" "no-length&cut=300000" "no-length&cut=300000&cut-how=notify"; do
    start_nbdkit cainfo="$tls_ca" blocksize=1M readahead=0 url="$origin_url/pattern/16M?$query&at=4M&times=1"
    client << 'END'
Reader().read(4 * MiB, MiB)
END
    stop_nbdkit
done
origin_url=$plain_url origin_log=$plain_log origin_control=$plain_control

# Progress is made each time, though little: it goes on to the end, however often that is.
start_nbdkit blocksize=256K readahead=0 url="$origin_url/pattern/1M?cut=20000&after=1"
client << 'END'
Reader().read(524288, 262144)
END
stop_nbdkit
expect_equal "where they began" "$(log_values request range "query=cut=20000&after=1" | sed 's/-.*//' | xargs)" \
    "0 $(seq -s ' ' 524288 20000 $((524288 + 262143)))"

# No progress: it ends with EIO after a bounded number of requests; when the server is well again, so is the export.
start_nbdkit blocksize=64K readahead=0 retries=5 url="$origin_url/pattern/2M"
origin_ctl reset
origin_faults /pattern/2M cut=0
client << 'END'
r = Reader()
expect_error(errno.EIO, r.h.pread, 512, MiB)
r.read(0, 100)                                  # held
END
expect_at_least "requests before giving up" "$(origin_ctl "stat?key=requests")" 2
expect_at_most "requests before giving up" "$(origin_ctl "stat?key=requests")" 16
origin_faults /pattern/2M ""
client << 'END'
Reader().read(MiB, 512)
END
