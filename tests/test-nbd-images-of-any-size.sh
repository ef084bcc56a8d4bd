#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Images of any size: one byte, around a sector, around a block, larger than any disk, and none at all.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd nbdinfo nbdcopy

start_origin
for size in 1 2 511 512 513 4095 4096 4097 65535 65536 65537 1000000; do
    make_pattern "$tmp/truth" $size
    start_nbdkit blocksize=4K url="$origin_url/pattern/$size"
    expect_equal size "$(nbdinfo --size "$nbd_uri")" $size
    nbdcopy "$nbd_uri" "$tmp/copy"
    cmp "$tmp/truth" "$tmp/copy"
    client $size << 'END'
size = int(sys.argv[1])
r = Reader()
r.read(0, 1)
r.read(size - 1, 1)
r.read(size // 2, size - size // 2)
r.h.set_strict_mode(0)                      # let the server answer what makes no sense
expect_error(errno.EINVAL, r.h.pread, 1, size)
expect_error(errno.EINVAL, r.h.pread, 2, size - 1)
END
    stop_nbdkit
done

# 5 TiB: offsets beyond 32 bits everywhere.
start_nbdkit url="$origin_url/pattern/5T"
expect_equal size "$(nbdinfo --size "$nbd_uri")" 5497558138880
client << 'END'
r = Reader()
TiB = 1 << 40
for offset in 0, 2 * GiB - 5, 4 * GiB - 5, 1 * TiB - 3, 3 * TiB + 12345, 5 * TiB - 100000:
    r.read(offset, 100000)
r.read(5 * TiB - 1, 1)
END
stop_nbdkit
settle
expect_at_most "bytes fetched for a few reads" "$(origin_ctl "stat?key=sent&path=/pattern/5T")" $((100 * 1024 * 1024))
start_nbdkit offset=4T size=100001 url="$origin_url/pattern/5T"
client << 'END'
r = Reader(truth=lambda offset, count: pattern((4 << 40) + offset, count))
assert r.h.get_size() == 100001
r.read(0, 100001)
END
stop_nbdkit

# Nothing at all is an empty export, whether the server says 416 (nginx) or 200 (Apache).
for query in nginx_ ignore-range; do
    start_nbdkit url="$origin_url/zeros/0?$query"
    expect_equal "size of nothing" "$(nbdinfo --size "$nbd_uri")" 0
    nbdcopy "$nbd_uri" "$tmp/copy"
    expect_equal "bytes of nothing" "$(stat -c %s "$tmp/copy")" 0
    client << 'END'
r = Reader()
r.h.set_strict_mode(0)
expect_error(errno.EINVAL, r.h.pread, 1, 0)
END
    expect_equal "requests for nothing" "$(count_requests path=/zeros/0 "query=$query")" 1
    stop_nbdkit
done
