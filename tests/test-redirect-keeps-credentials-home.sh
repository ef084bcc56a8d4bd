#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# A login and headers go to the server of the configured URL, not to one that it redirects to: the image comes from
# there without them, redirected once, not for every request.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin --log-headers
store_url=$origin_url store_log=$origin_log
start_origin --log-headers
start_nbdkit blocksize=64K readahead=0 user=alice password=wonderland header='Authorization: Bearer of-news' \
    header='X-Store-Token: for-home' \
    url="$origin_url/pattern/1M?redirect=$store_url/pattern/1M"
client << 'END'
Reader().read(0, MiB)
END
expect_text "sent home" "$origin_log" 'of-news'
expect_no_text "sent to the store" "$store_log" 'of-news|wonderland|for-home|[Aa]uthorization'
expect_equal "requests redirected" "$(count_requests path=/pattern/1M)" 1
origin_log=$store_log
expect_at_least "requests to the store" "$(count_requests path=/pattern/1M)" 2

# On the same server they stay.
start_origin --log-headers
start_nbdkit blocksize=64K readahead=0 user=alice password=wonderland \
    url="$origin_url/pattern/1M?hops=2&basic=alice:wonderland"
client << 'END'
Reader().read(0, MiB)
END

# Nor does anything else that says who one is; but a login that the netrc file has for the other host goes there, over
# whatever port, and its default one does not.
start_origin --log-headers
home=$origin_url home_log=$origin_log
start_origin --log-headers
away=${origin_url/127.0.0.1/localhost} away_log=$origin_log

# leads PARAMETERS...: home redirects away, where the image is.
leads ()
{
    run_nbdkit 'nbdinfo --size "$uri"' url="$home/pattern/1M?redirect=$(urlencode "$away/pattern/1M")" "$@" > /dev/null
}
leads bearer-token=for-home
leads cookie=sid=for-home
printf 'X-Name: for-home\n' > "$tmp/headers"
leads header=+"$tmp/headers"
leads user=for-home password=for-home-key aws-sigv4=aws:amz:us-east-1:s3
printf 'machine 127.0.0.1 login ann password for-home\ndefault login ann password for-home\n' > "$tmp/netrc"
leads netrc="$tmp/netrc"
for secret in Bearer%20for-home sid=for-home value=for-home Credential=for-home "Basic%20$(printf ann:for-home | base64)"; do
    expect_text "sent home" "$home_log" "$secret"
done
expect_text "sent away" "$away_log" '^header .*name=Host'
expect_no_text "sent away" "$away_log" "for-home|[Aa]uthorization|[Cc]ookie|[Aa]mz|$(printf ann:for-home | base64)"
expect_equal "requests away" "$(grep -c '^request' "$away_log")" 5
printf 'machine 127.0.0.1 login ann password for-home\nmachine localhost login bob password for-there\n' > "$tmp/netrc"
leads netrc="$tmp/netrc"
expect_text "sent away" "$away_log" "Basic%20$(printf bob:for-there | base64)"
expect_no_text "sent away" "$away_log" "$(printf ann:for-home | base64)"

# Not in clear when the image was asked for by https.
make_certificates
start_origin --tls "$tls_cert" "$tls_key" --log-headers
home=$origin_url
away_requests=$(grep -c '^request' "$away_log")
before=$(grep -c 'name=Authorization' "$away_log")
leads netrc="$tmp/netrc" cainfo="$tls_ca" insecure-redirects=true
expect_equal "requests away" "$(grep -c '^request' "$away_log")" $((away_requests + 1))
expect_equal "logins sent away in clear" "$(grep -c 'name=Authorization' "$away_log")" "$before"

# Who is not told them may want some: then it is said whose they are.
start_origin
away=$origin_url
start_origin
expect_failure run_nbdkit true user=ann password=for-home \
    url="$origin_url/pattern/1M?redirect=$(urlencode "$away/pattern/1M?basic=ann:for-home")" 2>/dev/null
expect_text "message" "$nbdkit_err" \
    "GET $away/.* 401 Unauthorized \(logins are sent to .* url= only.* \($origin_url/pattern/1M\?\.\.\. redirects there\)"
