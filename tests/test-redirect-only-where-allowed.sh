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

# From http to https is always well.
origin_log=$tmp/origin1.log
follows url="$plain_url/pattern/1M?redirect=$tls_url/pattern/1M"
follows protocols=http,https url="$plain_url/pattern/1M?redirect=$tls_url/pattern/1M"
refused "redirected to $tls_url/pattern/1M, which protocols=http does not allow" \
    protocols=http url="$plain_url/pattern/1M?redirect=$tls_url/pattern/1M"
