#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Each wrong parameter is refused before anything is served, with a message that says what is wrong and what would be
# right; each right one is taken.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires nbdinfo

make_certificates
start_origin
good="url=$origin_url/pattern/1M"

# wrong REGEX PARAMETERS...: refused, and the message matches.
wrong ()
{
    local regex=$1
    shift
    expect_failure run_nbdkit 'nbdinfo "$uri"' "$@" 2>/dev/null
    expect_text "message for: $*" "$nbdkit_err" "$regex"
    expect_text "an error of ours for: $*" "$nbdkit_err" '^nbdkit: .*error: '
}

# right PARAMETERS...: taken.
right ()
{
    run_nbdkit 'nbdinfo "$uri"' "$@" > "$tmp/out" || fail "should have been taken: $*"
}

wrong 'url is missing' blocksize=64K
wrong 'url was given already' "$good" "$good"
wrong 'ftp.*http' url=ftp://example.com/disk
wrong 'file.*http' url=file:///etc/passwd
wrong 'url=' url=http://
wrong 'url=' url=http:///disk
wrong 'url=' url='http://exa mple.com/disk'
wrong 'url=' url=http://example.com:99999/disk
wrong 'url=' url=
wrong 'url=' url=just-words

wrong 'offset=.*negative' "$good" offset=-1
wrong 'offset=.*not a size' "$good" offset=abc
wrong '1048576' "$good" offset=1M
wrong '1048576' "$good" offset=2M
wrong 'size=' "$good" size=0
wrong 'size=' "$good" size=-5
wrong '1048576' "$good" size=1048577
wrong '1048576' "$good" offset=1M size=1
wrong '1048576' "$good" offset=1000000 size=48577
wrong 'offset.*size|size.*offset' "$good" offset=9223372036854775807 size=1

wrong '64K and 128K' "$good" blocksize=100000
wrong '4K to 32M.*nearest is 4K' "$good" blocksize=512
wrong '4K to 32M.*nearest is 32M' "$good" blocksize=64M
wrong 'blocksize=.*4K to 32M' "$good" blocksize=0
wrong 'blocksize=' "$good" blocksize=many
wrong 'cache-blocks=' "$good" cache-blocks=0
wrong 'cache-blocks=' "$good" cache-blocks=-1
wrong 'cache-blocks=' "$good" cache-blocks=
wrong 'comes to [0-9]+ bytes' "$good" cache-blocks=100000000 blocksize=1M
wrong 'bytes' "$good" cache-blocks=18446744073709551615 blocksize=1M
wrong 'readahead=' "$good" readahead=lots
wrong 'readahead=' "$good" readahead=-1
wrong 'connections=.*1 to 256' "$good" connections=0
wrong 'connections=.*1 to 256' "$good" connections=257
wrong 'connections=.*1 to 256' "$good" connections=x
for version in 1 2 2tls 3Only ""; do
    wrong 'http-version=.*none, 1\.0, 1\.1, 2\.0, 2TLS, 2-prior-knowledge, 3 or 3only' "$good" http-version=$version
done
wrong 'sslverify=' "$good" sslverify=perhaps
wrong 'cainfo=.*No such file' "$good" cainfo="$tmp/nothing"
wrong 'capath=.*cainfo' "$good" capath="$tls_ca"
wrong 'cainfo=.*capath' "$good" cainfo="$tmp"
wrong 'timeout=' "$good" timeout=-1
wrong 'timeout=' "$good" timeout=soon
wrong 'connect-timeout=' "$good" connect-timeout=soon
wrong 'retries=' "$good" retries=1001
wrong 'retry-delay=' "$good" retry-delay=1s
wrong 'retry-max-time=' "$good" retry-max-time=-1
wrong 'followlocation=' "$good" followlocation=perhaps
wrong 'insecure-redirects=' "$good" insecure-redirects=perhaps
wrong 'ignore-etag=' "$good" ignore-etag=perhaps
wrong 'protocols=ftp' "$good" protocols=ftp
wrong 'protocols=https' "$good" protocols=https
wrong 'password' "$good" user=me password=+"$tmp/nothing"
wrong 'user' "$good" password=secret
wrong 'header=' "$good" header=nonsense
wrong 'header=' "$good" header="$(printf 'X: a\r\nY: b')"
wrong 'header=\+.*line 1' "$good" header=+"$tls_ca"
wrong 'header=.*No such file' "$good" header=+"$tmp/nothing"
wrong 'bearer-token=.*could not be read' "$good" bearer-token=+"$tmp/nothing"
wrong 'bearer-token=.*empty' "$good" bearer-token=
wrong 'bearer-token=.*user=' "$good" bearer-token=abc user=me
wrong 'cookie=.*empty' "$good" cookie=
for script in header-script cookie-script; do
    wrong "$script=.*command is missing" "$good" $script=
    wrong "$script-renew=.*$script=" "$good" $script-renew=5
    wrong "$script-renew=.*seconds" "$good" $script=true $script-renew=soon
done
wrong "headerscript.*'header-script'" "$good" headerscript=true
wrong 'cookiefile=.*No such file' "$good" cookiefile="$tmp/nothing"
wrong 'cookiejar=.*ordinary' "$good" cookiejar=/dev/null
wrong 'cookiejar=.*no file can be made' "$good" cookiejar="$tmp/nothing/jar"
wrong 'mirror=.*(url|URL)' "$good" mirror=nonsense
wrong 'netrc=.*No such file' "$good" netrc="$tmp/nothing"
wrong 'netrc=.*line 1' "$good" netrc="$tls_ca"
touch "$tmp/netrc"
wrong 'netrc=.*user=' "$good" netrc="$tmp/netrc" user=me
wrong 'aws-sigv4=.*us-east-1' "$good" aws-sigv4=aws::s3 user=me password=mine
wrong 'aws-sigv4=.*user= and password=' "$good" aws-sigv4=aws:amz:us-east-1:s3
signs=(aws-sigv4=aws:amz:us-east-1:s3 user=me password=mine)
wrong "header='X-Gone:': with aws-sigv4= a header must have a value" "$good" "${signs[@]}" header=X-Gone:
wrong "header='X-Empty;': with aws-sigv4= a header must have a value" "$good" "${signs[@]}" header='X-Empty;'
wrong "header='x-twice: \*\*\*' is given twice" "$good" "${signs[@]}" header='X-Twice: 1' header='x-twice: 2'
wrong "header='x-amz-date: \*\*\*' is made by aws-sigv4=" "$good" "${signs[@]}" header='X-Amz-Date: 20260101T000000Z'
wrong "password=-\*\*\*: '-' is followed by the number" "$good" user=me password=-mine
wrong 'sslcert=.*No such file' "$good" sslcert="$tmp/nothing"
wrong 'sslkey=.*sslcert=' "$good" sslkey="$tls_key"
wrong 'sslkey-password=.*sslcert=' "$good" sslkey-password=abc
wrong 'ssl-version=.*tlsv1\.3' "$good" ssl-version=sslv3
wrong 'ssl-cipher-list=' "$good" ssl-cipher-list='A B'
wrong 'tls13-ciphers=' "$good" tls13-ciphers=
wrong 'proxy=.*socks5h' "$good" proxy=ftp://proxy.example:1
wrong 'proxy=.*a scheme, a host and a port' "$good" proxy=http://proxy.example:1/path
wrong 'proxy-user=.*proxy=' "$good" proxy-user=me
wrong 'proxy-password=.*proxy-user=' "$good" proxy=proxy.example:1 proxy-password=abc
wrong 'proxy-cainfo=.*No such file' "$good" proxy-cainfo="$tmp/nothing"
wrong 'proxy-capath=.*proxy-cainfo' "$good" proxy-capath="$tls_ca"
wrong 'proxy=.*unix-socket-path=' "$good" proxy=proxy.example:1 unix-socket-path="$tmp/socket"
wrong 'resolve=.*HOST:PORT:ADDRESS' "$good" resolve=disk.example:80
wrong 'resolve=.*no IP address' "$good" resolve=disk.example:80:somewhere
wrong 'ipresolve=.*any, v4 or v6' "$good" ipresolve=ipv4
wrong 'tcp-keepalive=' "$good" tcp-keepalive=perhaps
wrong 'tcp-nodelay=' "$good" tcp-nodelay=perhaps
wrong 'unix-socket-path=' "$good" unix-socket-path=
wrong 'unix-socket-path=.*(at most|long)' "$good" unix-socket-path="/$(printf '%0200d' 1)"

# Unknown keys: the closest known one is named.
wrong "block-size.*'blocksize'" "$good" block-size=64K
wrong "blksize.*'blocksize'" "$good" blksize=64K
wrong "cache_blocks.*'cache-blocks'" "$good" cache_blocks=5
wrong "readahed.*'readahead'" "$good" readahed=5
wrong "useragent.*'user-agent'" "$good" useragent=5
wrong "conections.*'connections'" "$good" conections=5
wrong "http_version.*'http-version'" "$good" http_version=2.0
wrong "ofset.*'offset'" "$good" ofset=5

right "$good" offset=1048575
right "$good" size=1048576
right "$good" offset=512K size=512K
right "$good" blocksize=4K cache-blocks=2
right "$good" blocksize=32M cache-blocks=2
right "$good" readahead=0
right "$good" readahead=1G
right "$good" connections=256
right "$good" http-version=none
right "$good" http-version=1.0
right "$good" http-version=1.1
right "$good" http-version=2.0
right "$good" http-version=2TLS
right "$good" header-script=true header-script-renew=0 cookie-script=true cookie-script-renew=60
right "$good" timeout=0
right "$good" connect-timeout=10
right "$good" retries=0 retry-delay=0.5 retry-max-time=0
right "$good" mirror="${good#url=}?x-1" mirror="${good#url=}?x-2"
right "$good" followlocation=false insecure-redirects=true protocols=http
right "$good" ssl-version=default netrc=false proxy= ipresolve=any tcp-keepalive=false tcp-nodelay=true
right "$good" netrc="$tmp/netrc" cookiefile= resolve=disk.example:80:127.0.0.1
right "$good" header='X-One: 1' header='X-Two: 2' user-agent='me (and you)'
right "$origin_url/pattern/1M"                                  # url= is the key for a word without one
right "$origin_url/pattern/1M?x-a=b&x-c=d"
mkdir "$tmp/www/some where"
make_random "$tmp/www/some where/ünïcode 100%.img" 5000
right url="$origin_url/some%20where/%C3%BCn%C3%AFcode%20100%25.img"
right url="$origin_url/some where/ünïcode 100%25.img"
right url="${origin_url/http:/HTTP:}/pattern/1M"
printf secret > "$tmp/password"
right user=me password=+"$tmp/password" url="$origin_url/pattern/1M?basic=me:secret"
right user=me password=-7 url="$origin_url/pattern/1M?basic=me:secret" 7< "$tmp/password"
# What is asked for is sent.
start_origin --log-headers
run_nbdkit true user-agent='me (and you)' header='X-One: 1' header='X-Two: 2' url="$origin_url/pattern/1M"
for header in User-Agent=me%20\(and%20you\) X-One=1 X-Two=2; do
    expect_equal "sent" "$(log_values header value "name=${header%%=*}")" "${header#*=}"
done
