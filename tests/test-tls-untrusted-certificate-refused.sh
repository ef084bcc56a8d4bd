#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# A certificate that cannot be trusted is an error that says so and names the parameter that mends it; nothing is served.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires nbdinfo

make_random "$tmp/www/file" 1M
start_nginx

expect_failure run_nbdkit 'nbdinfo "$uri"' url="$nginx_tls_url/file"
expect_text "message" "$nbdkit_err" 'certificate'
expect_text "message" "$nbdkit_err" 'cainfo'
expect_failure run_nbdkit 'nbdinfo "$uri"' cainfo="$tls_other_ca" url="$nginx_tls_url/file"
expect_text "message" "$nbdkit_err" 'certificate'
# The server's certificate is for localhost and 127.0.0.1.
start_origin --unix "$tmp/origin.sock" --tls "$tls_cert" "$tls_key"
expect_failure run_nbdkit 'nbdinfo "$uri"' cainfo="$tls_ca" unix-socket-path="$origin_unix" url="https://example.com/file"
expect_text "message" "$nbdkit_err" 'example.com'
run_nbdkit 'nbdinfo "$uri"' cainfo="$tls_ca" unix-socket-path="$origin_unix" url="https://localhost/file" >/dev/null
expect_equal "requests over a connection not trusted" "$(count_requests)" 1
port=${nginx_tls_url##*:}
run_nbdkit 'nbdinfo "$uri"' cainfo="$tls_ca" url="https://localhost:$port/file" >/dev/null
mkdir "$tmp/certs"
cp "$tls_ca" "$tmp/certs/$(openssl x509 -hash -noout -in "$tls_ca").0"
run_nbdkit 'nbdinfo "$uri"' cainfo= capath="$tmp/certs" url="$nginx_tls_url/file" >/dev/null
