#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# The main job: an image on nginx becomes a byte-identical local one, for every kind of image that people have on web
# servers and every way that nginx is reached.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires qemu-img tar

make_disk "$tmp/disk.raw" 48
cp "$tmp/disk.raw" "$tmp/www/disk one.raw"                      # a name that must be escaped
make_qcow2 "$tmp/disk.raw" "$tmp/www/disk.qcow2"
make_qcow2 "$tmp/disk.raw" "$tmp/www/compressed.qcow2" -c
make_iso "$tmp/www/some.iso" "$srcdir"
make_random "$tmp/readme" 12345                                 # so that the image begins somewhere odd
tar -C "$tmp" -cf "$tmp/www/images.tar" readme -C "$tmp/www" disk.qcow2
read -r offset size <<< "$(tar_offset "$tmp/www/images.tar" disk.qcow2)"
start_nginx

# convert FORMAT TRUTH PARAMETERS...
convert ()
{
    local format=$1 truth=$2
    shift 2
    rm -f "$tmp/out.raw"
    run_nbdkit "qemu-img convert -f $format -O raw \"\$uri\" '$tmp/out.raw'" "$@"
    cmp "$truth" "$tmp/out.raw" || fail "convert of $* is not the same"
}

# all_images URL PARAMETERS...
all_images ()
{
    local url=$1
    shift
    convert raw "$tmp/disk.raw" "$@" url="$url/disk%20one.raw"
    convert qcow2 "$tmp/disk.raw" "$@" url="$url/disk.qcow2"
    convert qcow2 "$tmp/disk.raw" "$@" url="$url/compressed.qcow2"
    convert raw "$tmp/www/some.iso" "$@" url="$url/some.iso"
    convert qcow2 "$tmp/disk.raw" "$@" url="$url/images.tar" offset="$offset" size="$size"
}

all_images "$nginx_url"
all_images "$nginx_tls_url" cainfo="$tls_ca"
all_images http://anywhere unix-socket-path="$nginx_unix"
convert qcow2 "$tmp/disk.raw" cainfo="$tls_ca" url="$nginx_h2_url/disk.qcow2"
convert qcow2 "$tmp/disk.raw" sslverify=false url="$nginx_tls_url/compressed.qcow2"

# nbdkit takes the URL without its key, and escapes in it are optional where a browser would take them so.
run_nbdkit 'nbdinfo --size "$uri"' "$nginx_url/disk one.raw" > "$tmp/size"
expect_equal "size of the raw image" "$(cat "$tmp/size")" "$(stat -c %s "$tmp/disk.raw")"
