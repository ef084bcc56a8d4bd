#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# A server that does not do ranges (200 and all the file) is refused with words that name its answer, and the file is not
# downloaded; so are other answers of which no export can be made.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires nbdinfo

start_origin

# refused QUERY REGEX [PATH]: nbdkit does not serve it and says why.
refused ()
{
    expect_failure run_nbdkit 'nbdinfo "$uri"' url="$origin_url${3-/pattern/1M}?$1"
    expect_text "message for $1" "$nbdkit_err" "$2"
}

refused ignore-range '200' /zeros/1T
settle
expect_at_most "bytes of 1 TiB sent to a client that should not want them" "$(origin_ctl "stat?key=sent")" $((64 << 20))
refused ignore-range 'range' /zeros/1T
refused "" '404' /nothing-here
refused status=403 '403'
refused status=404 '404'
refused status=410 '410'
refused basic=me:secret '401'
refused no-content-range 'Content-Range'
refused wrong-range 'other bytes'
refused content-range=bytes%200-9/x 'Content-Range|range'
refused gzip '[Ee]ncod'
refused multipart 'multipart|Content-Range|range'
# A permanent error is not tried again.
for query in status=403 status=404 status=410 basic=me:secret; do
    expect_equal "requests with $query" "$(count_requests "query=$query")" 1
done

# More than the server itself says: whose bytes the rest are nobody knows.
refused extra=5000 'Content-Length'

# The same later, when the export is served already: an error for the reader, no wrong byte, and no end of nbdkit.
requires python:nbd
start_nbdkit blocksize=64K readahead=0 retries=3 url="$origin_url/pattern/64M"
origin_faults /pattern/64M ignore-range
client << 'END'
r = Reader()
expect_error(errno.EIO, r.h.pread, 512, 8 * MiB)
r.read(100, 100)                                # held since the beginning
END
expect_text "message" "$nbdkit_err" '200'
origin_faults /pattern/64M ""
client << 'END'
Reader().read(8 * MiB, 512)                     # the server has come to its senses
END
