#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# ./quickstart URL [OUTPUT]: a whole OUTPUT of the right name, or none and a message that says why; nothing is
# overwritten unasked, no image can make qemu open another file, and nothing is left behind, also by a signal.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires qemu-img xz

mkdir "$tmp/scratch" "$tmp/here"
cd "$tmp/here"
export HTTPCACHE_BUILD=$abs_top_builddir
start_origin

# quick ARGS...: its words go to $tmp/quick.err, and out.
quick ()
{
    local status=0
    TMPDIR=$tmp/scratch "$abs_top_srcdir/quickstart" "$@" > "$tmp/out" 2> "$tmp/quick.err" || status=$?
    cat "$tmp/out" "$tmp/quick.err"
    expect_equal "left in the temporary folder" "$(ls -A "$tmp/scratch")" ""
    return $status
}

# refused REGEX ARGS...: fails, says so, leaves nothing.
refused ()
{
    local why=$1
    shift
    expect_failure quick "$@"
    expect_text "the message" "$tmp/quick.err" "$why"
    expect_equal "left behind" "$(ls -A)" ""
}

# Right: formats, names, sizes.
make_random "$tmp/www/r.raw" 3000001
make_qcow2 "$tmp/www/r.raw" "$tmp/www/name with é.qcow2"
make_qcow2 "$tmp/www/r.raw" "$tmp/www/small.qcow2" -c
quick "url=$origin_url/r.raw"
cmp "$tmp/www/r.raw" r.raw                      # to the last byte: qemu alone would give a multiple of 512
expect_text "figures" "$tmp/out" '^  requests +[1-9]'
quick "$origin_url/name%20with%20%C3%A9.qcow2?x-query=1"
qemu-img compare -f raw -F raw "$tmp/www/r.raw" "name with é.raw"
quick "$origin_url/small.qcow2" ./other
qemu-img compare -f raw -F raw "$tmp/www/r.raw" other
expect_equal "files" "$(ls -A | xargs)" "name with é.raw other r.raw"
# Parameters may hold URLs, and a URL "=".
quick "$origin_url/r.raw?x-a=b" mirrored mirror="$origin_url/r.raw?x-other" user-agent=a://b
cmp "$tmp/www/r.raw" mirrored
expect_text "the mirror was asked" "$origin_log" 'query=x-other'
rm mirrored

# What exists is kept, unless --force.
echo mine > r.raw
expect_failure quick "$origin_url/r.raw"
expect_equal "what was there" "$(cat r.raw)" mine
expect_failure quick --force "$origin_url/r.raw?cut=100&after=2"
expect_equal "what was there, after a failure" "$(cat r.raw)" mine
quick --force "$origin_url/r.raw"
cmp "$tmp/www/r.raw" r.raw
rm -- *

# Wrong.
refused 'only http:// and https://' ftp://127.0.0.1/r.raw
refused 'no http:// or https:// URL' r.raw
refused 'there is no folder' "$origin_url/r.raw" no/where
refused 'is not a file' "$origin_url/r.raw" .
refused '404' "$origin_url/absent.raw"
refused 'ranges' "$origin_url/r.raw?ignore-range"
HTTPCACHE_BUILD=$tmp refused 'no httpcache was built there' "$origin_url/r.raw"

# Images that are not only themselves.
(
    cd "$tmp/www"
    qemu-img create -q -f qcow2 -b r.raw -F raw backing.qcow2
    qemu-img create -q -f qcow2 -o data_file=r.data,data_file_raw=on data.qcow2 1M
    qemu-img create -q -f vmdk -o subformat=monolithicFlat flat.vmdk 1M
)
refused 'backing file' "$origin_url/backing.qcow2"
refused 'data file' "$origin_url/data.qcow2"
refused 'VMDK' "$origin_url/flat.vmdk"

# Files that are no images, and would be copied as they are.
(
    cd "$tmp/www"
    gzip -k r.raw
    xz -k r.raw
    tar -cf r.tar r.raw
    echo '<!DOCTYPE html><title>404</title>' > page.html
)
refused 'gzip file.*--filter=gzip' "$origin_url/r.raw.gz"
refused 'xz file.*--filter=xz' "$origin_url/r.raw.xz"
refused 'tar file.*--filter=tar' "$origin_url/r.tar"
refused 'a web page' "$origin_url/page.html"

# A signal in the middle. Python, because bash starts what is in the background with SIGINT ignored.
for signal in HUP INT TERM; do
    url="$origin_url/r.raw?gate=$signal&after=4"
    TMPDIR=$tmp/scratch "$python" -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$abs_top_srcdir/quickstart" "$url" > "$tmp/signal.out" 2> "$tmp/signal.err" &
    pid=$!
    cleanup_fn kill_client "$pid"
    origin_ctl "wait?waiting=1&gate=$signal"
    kill -"$signal" "$pid"
    status=0
    wait "$pid" || status=$?
    expect_equal "status after SIG$signal" "$status" $((128 + $(kill -l "$signal")))
    expect_equal "left behind by SIG$signal" "$(ls -A . "$tmp/scratch" | xargs)" ".: $tmp/scratch:"
    origin_ctl "open?gate=$signal"
done
