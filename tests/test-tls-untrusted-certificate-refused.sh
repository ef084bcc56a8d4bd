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

# What is wrong with it is told: out of date, signed by itself, for another host.
make_certificate old ca -1
make_certificate self -
make_certificate elsewhere ca 30 /CN=elsewhere.example subjectAltName=DNS:elsewhere.example
while IFS='|' read -r name words advice; do
    start_origin --tls "$tmp/tls/$name.pem" "$tmp/tls/$name-key.pem"
    expect_failure run_nbdkit 'nbdinfo "$uri"' cainfo="$tls_ca" url="$origin_url/file"
    expect_text "$name" "$nbdkit_err" "$words"
    expect_text "advice for $name" "$nbdkit_err" "$advice"
    expect_equal "requests to $name" "$(count_requests)" 0
    expect_equal "connections to $name" "$(log_values open conn | wc -l)" 1    # it is not tried again
done << 'END'
old|certificate has expired|must be renewed.*clock.*sslverify=false
self|self-signed certificate|signed by itself.*cainfo=FILE
elsewhere|no alternative certificate subject name|for another host: use the name it is for in the URL
END
start_origin --tls "$tmp/tls/self.pem" "$tmp/tls/self-key.pem"
run_nbdkit 'nbdinfo "$uri"' cainfo="$tmp/tls/self.pem" url="$origin_url/file" > /dev/null
run_nbdkit 'nbdinfo "$uri"' sslverify=false url="$origin_url/file" > /dev/null
# Nor does the name in it matter then.
start_origin --tls "$tmp/tls/elsewhere.pem" "$tmp/tls/elsewhere-key.pem"
run_nbdkit 'nbdinfo "$uri"' sslverify=false url="$origin_url/file" > /dev/null

# Who names a CA means no others: neither the default file nor the default folder of them.
start_origin --tls "$tls_cert" "$tls_key"
run_nbdkit 'nbdinfo "$uri"' -D httpcache.verbose=1 -- cainfo="$tls_ca" url="$origin_url/file" > /dev/null
expect_text "the file that was used" "$nbdkit_err" "CAfile: $tls_ca"
expect_text "the folder that was used" "$nbdkit_err" 'CApath: none'
