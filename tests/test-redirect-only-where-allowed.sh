#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Redirects are followed only if followlocation=, protocols= and insecure-redirects= let them be; else it is an error at
# once, which says why and is not tried again.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd openssl

make_certificates
start_origin
plain_url=$origin_url
start_origin --tls "$tls_cert" "$tls_key"
tls_url=$origin_url

# refused REGEX PARAMETER...
refused ()
{
    : > "$origin_log"
    expect_failure run_nbdkit true cainfo="$tls_ca" "${@:2}"
    expect_text "message" "$nbdkit_err" "$1"
    expect_no_text "message" "$nbdkit_err" 'tried'
    expect_equal "requests" "$(count_requests path=/pattern/1M)" 1
}

# follows PARAMETER...
follows ()
{
    start_nbdkit cainfo="$tls_ca" readahead=0 "$@"
    client << 'END'
Reader().read(0, MiB)
END
    stop_nbdkit
}

to_plain="$tls_url/pattern/1M?redirect=$plain_url/pattern/1M"
follows url="$tls_url/pattern/1M?redirect=$tls_url/pattern/1M"
refused "redirected from https to $plain_url/pattern/1M, where .*insecure-redirects=true" url="$to_plain"
follows insecure-redirects=true url="$to_plain"
refused "redirected to $plain_url/pattern/1M, which protocols=https does not allow" \
    protocols=https insecure-redirects=true url="$to_plain"
refused '302 Found .*followlocation=false' followlocation=false url="$tls_url/pattern/1M?redirect=$tls_url/pattern/1M"
follows followlocation=false url="$tls_url/pattern/1M"
refused 'redirected to ftp://127.0.0.1/pattern/1M, which protocols=http,https does not allow' \
    url="$tls_url/pattern/1M?redirect=ftp://127.0.0.1/pattern/1M"

refused 'redirected to file:///etc/passwd, which protocols=http,https does not allow' \
    url="$tls_url/pattern/1M?redirect=file:///etc/passwd"
refused 'redirected to a place that is no URL: http://\[' url="$tls_url/pattern/1M?redirect=http://["

# From http to https is always well.
origin_log=$tmp/origin1.log
follows url="$plain_url/pattern/1M?redirect=$tls_url/pattern/1M"
follows protocols=http,https url="$plain_url/pattern/1M?redirect=$tls_url/pattern/1M"
refused "redirected to $tls_url/pattern/1M, which protocols=http does not allow" \
    protocols=http url="$plain_url/pattern/1M?redirect=$tls_url/pattern/1M"

# Up to ten, of any kind; more are a loop.
for status in 301 302 303 307 308; do
    follows url="$plain_url/pattern/1M?hops=10&redirect-status=$status"
done
: > "$origin_log"
expect_failure run_nbdkit true url="$plain_url/pattern/1M?hops=11"
expect_text "message" "$nbdkit_err" 'error: .*more than 10 redirects; is it a loop\?'
expect_equal "requests" "$(count_requests)" 11
: > "$origin_log"
expect_failure run_nbdkit true url="$plain_url/pattern/1M?redirect=loop"
expect_text "message" "$nbdkit_err" 'error: .*more than 10 redirects; is it a loop\?'
expect_equal "requests of a loop" "$(count_requests)" 11

# Places as servers write them; and however long the page is that comes with it.
make_pattern "$tmp/www/a b" 1M
follows url="$plain_url/pattern/1M?redirect=/a%20b"
follows url="$plain_url/pattern/1M?redirect=2M%3Fserve=/pattern/1M"
: > "$origin_log"
follows url="$plain_url/pattern/1M?redirect=/pattern/2M%3Fserve=/pattern/1M&padding=100M"
for sent in $(log_values answer sent status=302); do expect_at_most "bytes of the page" "$sent" $((32 << 20)); done
follows url="$plain_url/pattern/1M?redirect=/pattern/2M%3Fserve=/pattern/1M&padding=100&cut=50"

# The same later, when the place that it led to refuses: an error for who reads, and what is held is served.
origin_control=$tmp/origin1.ctl
# leads TARGET REGEX: from now on it redirects there.
leads ()
{
    origin_faults /pattern/1M "redirect=/pattern/2M"
    origin_faults /pattern/2M "serve=/pattern/1M"
    start_nbdkit blocksize=64K readahead=0 url="$plain_url/pattern/1M"
    origin_faults /pattern/1M "redirect=$1"
    origin_faults /pattern/2M "status=404"
    client << 'END'
r = Reader()
expect_error(errno.EIO, r.h.pread, 512, 512 * KiB)
r.read(0, 64 * KiB)
END
    expect_text "message" "$nbdkit_err" "error: .*$2"
    expect_no_text "message" "$nbdkit_err" 'tried'
    stop_nbdkit
}
leads ftp://127.0.0.1/x 'redirected to ftp://127.0.0.1/x, which protocols=http,https does not allow \(asked .* anew, for '
leads loop 'more than 10 redirects; is it a loop\? \(asked .* anew, for '
