#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Random reads by fio, deep and from several jobs, each block verified by the checksum that fio wrote into it.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires fio
if ! fio --enghelp=nbd >/dev/null 2>&1; then echo "$0: SKIPPED: this fio has no nbd engine" >&2; exit 77; fi

size=16M
cd "$tmp"                                   # fio leaves files about
fio --name=make --filename="$tmp/www/file" --rw=write --bs=4k --size=$size --verify=crc32c --do_verify=0 > "$tmp/fio.out"
start_origin
start_nbdkit blocksize=64K cache-blocks=64 url="$origin_url/file"
for depth in 1 16; do
    fio --name=read --ioengine=nbd --uri="$nbd_uri" --rw=randread --bs=4k --size=$size --iodepth=$depth \
        --io_size=$((64 / time_factor))M --randrepeat=1 --verify=crc32c --verify_fatal=1 > "$tmp/fio.out" ||
        { cat "$tmp/fio.out" >&2; fail "fio, $depth deep"; }
    expect_text "fio's verdict" "$tmp/fio.out" 'err= 0'
done
# That fio does look: the same with one byte wrong.
printf '\377' | dd of="$tmp/www/file" bs=1 seek=4196000 conv=notrunc status=none
start_nbdkit url="$origin_url/file"
expect_failure fio --name=read --ioengine=nbd --uri="$nbd_uri" --rw=randread --bs=4k --size=$size --iodepth=4 \
    --verify=crc32c --verify_fatal=1 > "$tmp/fio.out" 2>&1
