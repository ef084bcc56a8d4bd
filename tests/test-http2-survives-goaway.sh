#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# An HTTP/2 server that sends connections away (GOAWAY), because they have had their number of requests or because it is
# told to reload, is asked on over new ones: no reader sees anything of it.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires nbdcopy python:nbd

make_random "$tmp/www/file" 24M
start_nginx

# Ten requests, then GOAWAY: over and over, with many requests under way.
run_nbdkit "nbdcopy \"\$uri\" '$tmp/copy'" -- http-version=2.0 blocksize=64K cache-blocks=64 cainfo="$tls_ca" \
    url="$nginx_goaway_url/file"
cmp "$tmp/www/file" "$tmp/copy" || fail "the copy is not the same"
expect_equal "version" "$(sed 's/.* http=\([^ ]*\) .*/\1/' "$nginx_log" | sort -u)" HTTP/2.0
expect_at_least "connections" "$(sed 's/.* conn=\([^ ]*\) .*/\1/' "$nginx_log" | sort -u | wc -l)" \
    $(($(wc -l < "$nginx_log") / 10))

# A new configuration: the old worker says goodbye while requests are under way, and is replaced.
start_nbdkit http-version=2.0 blocksize=64K cainfo="$tls_ca" url="$nginx_h2_url/file"
client "$nginx_pid" "$tmp/www/file" << 'END'
import signal
r = Reader(truth=file_truth(sys.argv[2]))
for i in range(96):
    if i % 16 == 8:
        os.kill(int(sys.argv[1]), signal.SIGHUP)
    r.start(i * 256 * KiB, 256 * KiB)
    if i % 8 == 7:
        r.finish_all()
r.finish_all()
END
stop_nbdkit
