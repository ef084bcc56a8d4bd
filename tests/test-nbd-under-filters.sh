#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Under nbdkit's own filters, as people stack them: each gets what it would get from a local file.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires nbdcopy qemu-img xz tar sfdisk python:nbd

make_disk "$tmp/disk.raw" 24
start_origin

# same OPTIONS -- PARAMETERS: through these filters the export is disk.raw.
same ()
{
    start_nbdkit "$@"
    nbdcopy "$nbd_uri" "$tmp/copy"
    cmp "$tmp/disk.raw" "$tmp/copy" || fail "not the same through $*"
    stop_nbdkit
}

# with FILTER COMMAND...: run it if nbdkit has the filter (some came late); says so if not.
with ()
{
    if "$NBDKIT" --dump-plugin --filter="$1" null >/dev/null 2>&1; then
        "${@:2}"
    else
        echo "no filter $1 here" >&2
    fi
}

cp "$tmp/disk.raw" "$tmp/www/"
same url="$origin_url/disk.raw"

partitioned ()
{
    truncate -s 30M "$tmp/www/parts"
    printf 'label: gpt\nstart=2048, size=49152\n' | sfdisk -q "$tmp/www/parts"
    dd if="$tmp/disk.raw" of="$tmp/www/parts" bs=512 seek=2048 conv=notrunc status=none
    same --filter=partition -- url="$origin_url/parts" partition=1
}
with partition partitioned

in_tar ()
{
    make_random "$tmp/other" 54321
    tar -C "$tmp" -cf "$tmp/www/disk.tar" other disk.raw
    same --filter=tar -- url="$origin_url/disk.tar" tar-entry=disk.raw
}
with tar in_tar

compressed ()
{
    xz -0 --block-size=1M -c "$tmp/disk.raw" > "$tmp/www/disk.raw.xz"
    same --filter=xz -- url="$origin_url/disk.raw.xz"
}
with xz compressed

written_over ()
{
    start_nbdkit --filter=cow -- url="$origin_url/disk.raw"
    client "$tmp/disk.raw" << 'END'
truth = file_truth(sys.argv[1])
r = Reader(truth=truth)
assert not r.h.is_read_only()
r.h.pwrite(b"written" * 1000, 1234567)
r.truth = lambda o, n: (truth(0, 1234567) + b"written" * 1000 + truth(1241567, 1 << 40))[o:o + n]
r.read(1000000, 1000000)
r.read(0, 100000)
END
    stop_nbdkit
}
with cow written_over

with readahead same --filter=readahead -- url="$origin_url/disk.raw"
with scan same --filter=scan -- url="$origin_url/disk.raw" scan-ahead=true
with cache same --filter=cache -- url="$origin_url/disk.raw"
with offset same --filter=offset -- url="$origin_url/parts" offset=1M range=24M
with blocksize-policy same --filter=blocksize-policy -- url="$origin_url/disk.raw" blocksize-minimum=512 \
    blocksize-preferred=64K blocksize-maximum=1M
with retry same --filter=retry -- url="$origin_url/disk.raw"

# The scan filter reads everything by NBD_CMD_CACHE while a client is connected, and nothing is fetched twice.
scanned ()
{
    origin_ctl reset
    start_nbdkit --filter=scan -- url="$origin_url/pattern/8M" scan-ahead=false
    start_client << 'END'
import signal
r = Reader()
signal.pause()
END
    origin_ctl "wait?sent=8388608"
    kill_client "$client_pid"
    stop_nbdkit
    settle
    expect_equal "bytes of a scan" "$(origin_ctl "stat?key=sent")" 8388608
}
with scan scanned
