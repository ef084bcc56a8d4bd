#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# ssl-version=, ssl-cipher-list= and tls13-ciphers= decide what is negotiated with the server; what it does not speak, and
# what nobody knows, is an error that names the parameter.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires nbdinfo

make_certificates

# negotiated PARAMETERS...: what libcurl says of the connection, in $tmp/tls-line.
negotiated ()
{
    run_nbdkit 'nbdinfo --size "$uri"' -D httpcache.verbose=1 -- cainfo="$tls_ca" retries=0 url="$origin_url/pattern/64K" "$@" \
        > /dev/null 2>&1 || { cat "$nbdkit_err" >&2; fail "$*"; }
    grep -E 'SSL connection using' "$nbdkit_err" > "$tmp/tls-line"
}

# refused REGEX PARAMETERS...
refused ()
{
    expect_failure run_nbdkit 'nbdinfo "$uri"' cainfo="$tls_ca" retries=0 url="$origin_url/pattern/64K" "${@:2}" 2>/dev/null
    expect_text "message for ${*:2}" "$nbdkit_err" "$1"
}

start_origin --tls "$tls_cert" "$tls_key"
negotiated
expect_text "by default" "$tmp/tls-line" 'TLSv?1\.3'
negotiated ssl-version=max-tlsv1.2
expect_text "at most 1.2" "$tmp/tls-line" 'TLSv?1\.2'
negotiated ssl-version=tlsv1.3
expect_text "at least 1.3" "$tmp/tls-line" 'TLSv?1\.3'
for cipher in TLS_AES_128_GCM_SHA256 TLS_CHACHA20_POLY1305_SHA256; do
    negotiated tls13-ciphers=$cipher
    expect_text "cipher of 1.3" "$tmp/tls-line" $cipher
done
for cipher in ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384; do
    negotiated ssl-version=max-tlsv1.2 ssl-cipher-list=$cipher
    expect_text "cipher of 1.2" "$tmp/tls-line" $cipher
done
refused 'ssl-cipher-list=' ssl-version=max-tlsv1.2 ssl-cipher-list=NONSENSE
refused 'tls13-ciphers=' tls13-ciphers=NONSENSE
# The certificate is not of RSA.
refused 'ssl-version=' ssl-version=max-tlsv1.2 ssl-cipher-list=ECDHE-RSA-AES128-GCM-SHA256

start_origin --tls "$tls_cert" "$tls_key" --tls-max TLSv1_2
negotiated
expect_text "what the server has" "$tmp/tls-line" 'TLSv?1\.2'
refused 'ssl-version=' ssl-version=tlsv1.3
