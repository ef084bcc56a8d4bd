#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# qemu's tools on the export: info, map, check, compare, convert with reordered requests, and qemu-io's reads.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires qemu-img qemu-io jq

make_disk "$tmp/disk.raw" 32
make_qcow2 "$tmp/disk.raw" "$tmp/www/disk.qcow2"
make_qcow2 "$tmp/disk.raw" "$tmp/www/compressed.qcow2" -c
start_origin
for image in disk compressed; do
    start_nbdkit url="$origin_url/$image.qcow2"
    qemu-img info --output=json "$nbd_uri" > "$tmp/info"
    expect_equal format "$(jq -r .format "$tmp/info")" qcow2
    expect_equal "virtual size" "$(jq -r '."virtual-size"' "$tmp/info")" "$(stat -c %s "$tmp/disk.raw")"
    qemu-img check "$nbd_uri"
    qemu-img map --output=json -f qcow2 "$nbd_uri" > "$tmp/map"
    qemu-img map --output=json -f qcow2 "$tmp/www/$image.qcow2" > "$tmp/map.local"
    cmp "$tmp/map.local" "$tmp/map"
    qemu-img compare -f qcow2 -F raw "$nbd_uri" "$tmp/disk.raw"
    qemu-img convert -f qcow2 -O raw -m 16 -W "$nbd_uri" "$tmp/out.raw"
    cmp "$tmp/disk.raw" "$tmp/out.raw"
    stop_nbdkit
done

start_nbdkit url="$origin_url/pattern/5000000"
qemu-io -r -f raw "$nbd_uri" -c "read -v 65528 16" -c "read 4999488 512" -c "aio_read 0 2M" -c "aio_read 1M 3M" \
    -c aio_flush > "$tmp/io"
expect_text "bytes over a block's edge" "$tmp/io" '0000fff8:  00 00 00 00 00 00 ff f8 00 00 00 00 00 01 00 00'
expect_no_text "an error" "$tmp/io" 'failed'
expect_failure qemu-io -f raw "$nbd_uri" -c "write 0 512"       # it is read-only
