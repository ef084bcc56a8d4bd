#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# aws-sigv4= signs each request, ranges and all, so that a store that checks the signatures accepts it: whatever the key
# is, with a session token, a query and headers, on a port of its own, over many requests.  Wrong keys are refused.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd nbdinfo

# The checker itself, with the example that Amazon's description has.
"$python" - << 'END'
from origin import sigv4
empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
headers = [("Host", "examplebucket.s3.amazonaws.com"), ("Range", "bytes=0-9"), ("x-amz-content-sha256", empty),
           ("x-amz-date", "20130524T000000Z")]
canonical = sigv4.canonical_request("GET", "/test.txt", headers,
                                    ["host", "range", "x-amz-content-sha256", "x-amz-date"], empty)
got = sigv4.signature("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524/us-east-1/s3/aws4_request",
                      "20130524T000000Z", canonical)
assert got == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41", got
END

start_origin --log-headers
key=AKIAIOSFODNN7EXAMPLE
secret='wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
printf '%s\n' "$secret" > "$tmp/secret"
signed=sigv4=$(urlencode "$key:$secret:us-east-1:s3")
signs=(user="$key" password=+"$tmp/secret" aws-sigv4=aws:amz:us-east-1:s3)

start_nbdkit blocksize=64K readahead=0 "${signs[@]}" url="$origin_url/pattern/1M?$signed"
client << 'END'
r = Reader()
for i in range(16):
    r.read(i * 65536, 65536)
END
stop_nbdkit
expect_at_least "requests" "$(count_requests)" 8
expect_equal "of them refused" "$(log_values answer id status=403 | wc -l)" 0
expect_no_text "the key itself sent" "$origin_log" "^header .*$(urlencode "$secret")"

# Names that have to be encoded, queries out of order, fields without a value, headers of the user's.
mkdir -p "$tmp/www/a+b (1)"
make_random "$tmp/www/a+b (1)/ünï=@code,~&100%.img" 5000
for path in "a+b (1)/ünï=@code,~&100%25.img" "a%2Bb%20%281%29/%C3%BCn%c3%af=%40code,%7e&100%25.img"; do
    run_nbdkit 'nbdinfo --size "$uri"' "${signs[@]}" url="$origin_url/$path?x-b=2/3&x-a&$signed&versionId=Q+1" > "$tmp/size"
    expect_equal "size" "$(cat "$tmp/size")" 5000
done
printf 'x-amz-security-token: a token/of+the=session\n' > "$tmp/token"
run_nbdkit 'nbdinfo --size "$uri"' "${signs[@]}" header=+"$tmp/token" header='Accept: a/b' header='X-Two:  two   blanks ' \
    url="$origin_url/pattern/1M?$signed" > /dev/null
expect_text "signed, too" "$origin_log" '^header .*SignedHeaders=[^,]*x-amz-security-token'

# On the same host a redirect is signed as well; on another nothing is.
run_nbdkit 'nbdinfo --size "$uri"' "${signs[@]}" url="$origin_url/pattern/1M?$signed&hops=1" > /dev/null
: > "$tmp/before"
before=$(count_requests)
run_nbdkit 'nbdinfo --size "$uri"' "${signs[@]}" \
    url="$origin_url/pattern/1M?redirect=$(urlencode "${origin_url/127.0.0.1/localhost}/pattern/1M")" > /dev/null
expect_equal "requests" "$(count_requests)" $((before + 2))
expect_equal "signed of the last" "$(log_values header value name=Authorization id=$((before + 2)))" ""
expect_equal "its token or hash" "$(log_values header name id=$((before + 2)) 'name~[Aa]mz')" ""

for wrong in password=wrong-secret-key user=AKIAI44QH8DHBEXAMPLE aws-sigv4=aws:amz:eu-west-1:s3; do
    expect_failure run_nbdkit 'nbdinfo "$uri"' "${signs[@]}" "$wrong" url="$origin_url/pattern/1M?$signed" 2>/dev/null
    expect_text "refused" "$nbdkit_err" 'server answered 403 Forbidden.*aws-sigv4='
done
