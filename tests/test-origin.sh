#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# The scriptable origin itself, by curl: what it says when it is honest is right, and each fault happens on the wire just
# as its table tells.  Every other test believes what this origin does and logs.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires curl

make_random "$tmp/www/file" 300000
make_pattern "$tmp/pattern" 4M
start_origin --log-headers
u=$origin_url

# get EXIT-STATUSES-OF-CURL ARGS...: the headers (and interim ones) go to $tmp/head, the body to $tmp/body.
get ()
{
    local wanted=$1 status=0
    shift
    : > "$tmp/body"
    curl -sS -D "$tmp/head" -o "$tmp/body" --max-time $((60 * time_factor)) "$@" 2>"$tmp/curl.err" || status=$?
    if [[ " $wanted " != *" $status "* ]]; then fail "curl's exit status for $*: $status instead of $wanted"; fi
}
status () { expect_text status "$tmp/head" "^HTTP/1.[01] $1 "; }
header () { expect_text header "$tmp/head" "^$1"$'\r'; }
no_header () { expect_no_text header "$tmp/head" "^$1:"; }
size () { expect_equal "bytes of body" "$(stat -c %s "$tmp/body")" "$1"; }

# body OBJECT OFFSET COUNT: it is just this piece of the object.
body ()
{
    size "$3"
    tail -c +$(($2 + 1)) "$1" | head -c "$3" | cmp - "$tmp/body" || fail "the body is not bytes $2 to $(($2 + $3 - 1))"
}

# Honest: files, virtual objects, ranges.

get 0 "$u/file";                 status 200; body "$tmp/www/file" 0 300000; header "Accept-Ranges: bytes"
get 0 -r 1000-1999 "$u/file";    status 206; body "$tmp/www/file" 1000 1000; header "Content-Range: bytes 1000-1999/300000"
get 0 -r 299999- "$u/file";      status 206; body "$tmp/www/file" 299999 1; header "Content-Range: bytes 299999-299999/300000"
get 0 -r -10 "$u/file";          status 206; body "$tmp/www/file" 299990 10
get 0 -r -900000 "$u/file";      status 206; body "$tmp/www/file" 0 300000
get 0 -r 299000-999999 "$u/file"; status 206; body "$tmp/www/file" 299000 1000
get 0 -r 300000- "$u/file";      status 416; header 'Content-Range: bytes \*/300000'
get 0 -r 0-1,5-6 "$u/file";      status 200; size 300000
get 0 -H 'Range: lines=1-2' "$u/file"; status 200
get 0 -I -r 5-6 "$u/file";       status 206; header "Content-Length: 2"
get 0 "$u/nothing";              status 404
get 0 "$u/../../etc/passwd" --path-as-is; status 404
get 0 -r 65000-66000 "$u/pattern/4M"; body "$tmp/pattern" 65000 1001
get 0 "$u/pattern/4M";           body "$tmp/pattern" 0 4194304
get 0 -r 5497558138872- "$u/pattern/5T"; size 8; header 'Content-Range: bytes 5497558138872-5497558138879/5497558138880'
expect_equal "pattern at 5T" "$(od -An -tx1 "$tmp/body")" " 00 00 04 ff ff ff ff f8"
get 0 -r 100-199 "$u/zeros/1K";  body /dev/zero 0 100
get 0 "$u/zeros/0";              status 200; size 0
get 0 -r 0-0 "$u/zeros/0";       status 416; header 'Content-Range: bytes \*/0'
mkdir "$tmp/www/a b"
cp "$tmp/www/file" "$tmp/www/a b/é"
get 0 "$u/a%20b/%C3%A9?x-any=1&Expires=2&token=3"; status 200; size 300000

# Validators and conditions.

get 0 -I "$u/pattern/4M";        header 'ETag: "pattern-4194304"'; header 'Last-Modified: Sun, 09 Sep 2001 01:46:40 GMT'
get 0 -r 0-9 -H 'If-Match: "pattern-4194304"' "$u/pattern/4M"; status 206
get 0 -r 0-9 -H 'If-Match: "x", "y"' "$u/pattern/4M"; status 412
get 0 -r 0-9 -H 'If-Match: "pattern-4194304"' "$u/pattern/4M?weak-etag"; status 412
get 0 -r 0-9 -H 'If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT' "$u/pattern/4M"; status 412
get 0 -r 0-9 -H 'If-Range: "pattern-4194304"' "$u/pattern/4M"; status 206
get 0 -r 0-9 -H 'If-Range: Sun, 09 Sep 2001 01:46:40 GMT' "$u/pattern/4M"; status 206
get 0 -r 0-9 -H 'If-Range: "other"' "$u/pattern/4M"; status 200
get 0 -H 'If-None-Match: W/"pattern-4194304"' "$u/pattern/4M"; status 304; size 0
get 0 -I "$u/file?no-validators"; no_header ETag; no_header Last-Modified
get 0 -I "$u/file?no-etag";      no_header ETag
get 0 -I "$u/file?etag=%22a%20b%22"; header 'ETag: "a b"'
get 0 -I "$u/file?last-modified=once%20upon"; header 'Last-Modified: once upon'
get 0 -I "$u/pattern/4M?new-etag"; header 'ETag: "new-pattern-4194304"'
get 0 -I "$u/pattern/1K?new-etag-after=1"; header 'ETag: "pattern-1024"'
get 0 -I "$u/pattern/1K?new-etag-after=1"; header 'ETag: "new-pattern-1024"'

# Other answers.

get 0 "$u/file?status=503&retry-after=7"; status 503; header "Retry-After: 7"
get 0 -r 5-6 "$u/file?416=77";   status 416; header 'Content-Range: bytes \*/77'
get 0 "$u/file?redirect=/x%3Fy";  status 302; header 'Location: /x\?y'
get 0 "$u/file?redirect=/x&padding=100000"; status 302; body /dev/zero 0 100000
get 0 -L "$u/file?hops=3&x-a=b";  size 300000
expect_equal hops "$(count_requests 'query~^hops=[0-3]&x-a=b$')" 4
get 47 -L --max-redirs 5 "$u/file?redirect=loop"
get 0 "$u/file?basic=me:secret"; status 401
get 0 -u me:secret "$u/file?basic=me:secret"; status 200
get 0 -H 'Authorization: Bearer abc' "$u/file?bearer=abc"; status 200
get 0 "$u/file?require-header=X-Key:5"; status 403
get 0 -H 'X-Key: 5' "$u/file?require-header=X-Key:5"; status 200
get 0 -I "$u/file?no-head";      status 405
get 0 "$u/file?serve=/pattern/4M"; body "$tmp/pattern" 0 4194304
get 0 -r 300000- "$u/file?grow=10"; body /dev/zero 0 10
get 0 "$u/file?not-a-fault=1";   status 400

# The header block.

get 0 -r 0-9 "$u/pattern/4M?ignore-range"; status 200; size 4194304
get 0 -I "$u/file?no-accept-ranges"; no_header Accept-Ranges
get 0 -r 0-9 "$u/file?no-content-range"; status 206; no_header Content-Range
get 0 -r 0-9 "$u/file?content-range=bytes%20*/*"; header 'Content-Range: bytes \*/\*'
get 0 -r 0-9 "$u/file?no-length"; no_header Content-Length; body "$tmp/www/file" 0 10
get 18 -r 0-9 "$u/file?length=11&connection-close"; body "$tmp/www/file" 0 10
get 0 -r 9-300000 "$u/file?chunked"; no_header Content-Length; body "$tmp/www/file" 9 299991
get 0 -r 0-9 "$u/file?http10";   expect_text version "$tmp/head" '^HTTP/1.0 206'; body "$tmp/www/file" 0 10
get 28 --max-time 0.5 "$u/file?drip-header=10"; size 0
get 0 -r 0-9 "$u/file?drip-header=0"; status 206; body "$tmp/www/file" 0 10
get 0 -r 0-9 "$u/file?interim=100,103"; status 100; status 103; status 206; body "$tmp/www/file" 0 10
get 0 -r 5-99 "$u/file?gzip" --compressed; header "Content-Encoding: gzip"; body "$tmp/www/file" 5 95
get 0 -I "$u/file?cookie=a%3Db";  header "Set-Cookie: a=b"
get 0 -I "$u/file?big-header=60000"
expect_equal "the big header" "$(grep ^X-Big "$tmp/head" | tr -d '\r\n' | wc -c)" 60000
get 0 -I "$u/file?many-headers=50"; header 'X-Many-49: 49'
"$python" - "${u##*:}" << 'END'
import socket, sys

def raw(query, enough=1 << 30):
    got = b""
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s:
        s.sendall(f"GET /pattern/1K?{query} HTTP/1.1\r\nHost: x\r\nRange: bytes=0-7\r\nConnection: close\r\n\r\n".encode())
        while len(got) < enough and (piece := s.recv(65536)):
            got += piece
    return got

assert b"\r\nX-Nul: a\0b\r\n" in raw("nul-header")
assert b"\r\n\0\r\n\r\n" + bytes(8) in raw("nul-line")
assert b"\r\nthis line has no colon\r\n" in raw("no-colon")
assert raw("cut-header=9") == b"HTTP/1.1 "
endless = raw("endless-header", 1 << 22)
assert len(endless) >= 1 << 22 and b"\r\n\r\n" not in endless and b"\r\nX-Endless-2999: endless\r\n" in endless
endless = raw("endless-header=line", 1 << 22)
assert len(endless) >= 1 << 22 and b"\r\n" not in endless[4096:]
assert raw("http10").startswith(b"HTTP/1.0 206 ")
END

# The body.

get 0 -r 10-99 "$u/file?short=20"; header "Content-Range: bytes 10-29/300000"; body "$tmp/www/file" 10 20
get 0 -r 10-99 "$u/file?long=20"; header "Content-Range: bytes 10-119/300000"; body "$tmp/www/file" 10 110
get 0 -r 10-99 "$u/file?extra=20"; header "Content-Range: bytes 10-99/300000"; size 110
cmp -n 90 "$tmp/body" "$tmp/www/file" 0 10
expect_equal "bytes that are not of it" "$(tail -c 20 "$tmp/body" | od -An -tx1 | xargs)" "$(printf 'ee %.0s' {1..20} | xargs)"
get 0 -r 10-99 "$u/file?wrong-range=1"; header "Content-Range: bytes 11-100/300000"; body "$tmp/www/file" 11 90
get 0 -r 10-99 "$u/file?shift=1"; header "Content-Range: bytes 10-99/300000"; body "$tmp/www/file" 11 90
get 0 -r 10-99 "$u/file?multipart"; header 'Content-Type: multipart/byteranges; .*'
expect_equal "lines of multipart" "$(tr -d '\0' < "$tmp/body" | grep -ac '^--a-boundary-of-the-origin')" 2
get 18 -r 0-99999 "$u/file?cut=54321"; body "$tmp/www/file" 0 54321
get 18 -r 0-99999 "$u/pattern/4M?cut=54321"; body "$tmp/pattern" 0 54321
get "56 18" -r 0-99999 "$u/file?cut=54321&cut-how=rst"
get 0 -r 0-99 "$u/file?cut=100"; size 100
get 52 "$u/file?cut-header=0"
get 28 --max-time 0.2 "$u/file?stall-header"
get 28 --max-time 2 -r 0-99999 "$u/file?stall=777"; body "$tmp/www/file" 0 777
get 0 -r 0-49 "$u/file?drip=1"; body "$tmp/www/file" 0 50
get 0 -r 0-49999 "$u/file?rate=1M"; body "$tmp/www/file" 0 50000
get 0 -r 0-49999 "$u/file?delay=1-5"; body "$tmp/www/file" 0 50000
settle
expect_equal "cut as logged" "$(log_values answer cut 'query=cut=54321' path=/file)" us
expect_equal "sent as logged" "$(log_values answer sent 'query=cut=54321' path=/file)" 54321
expect_equal "stall as logged" "$(log_values answer cut query=stall=777)" peer

# Keep-alive, and connections as they are counted.

origin_ctl reset
get 0 -r 0-9 "$u/file?a_b" --next -sS -o /dev/null -r 10-19 "$u/file?a_b"
origin_ctl "wait?open=0"
expect_equal "connections for two requests" "$(origin_ctl "stat?key=conns")" 1
get 0 "$u/file?close-after" --next -sS -o /dev/null "$u/file?close-after"
origin_ctl "wait?open=0"
expect_equal "connections, closed after each" "$(origin_ctl "stat?key=conns")" 3
expect_equal "most at a time" "$(origin_ctl "stat?key=max_open")" 1
expect_equal "requests of /file" "$(origin_ctl "stat?key=requests&path=/file")" 4
expect_equal "ranges asked" "$(log_values request range query=a_b | xargs)" "0-9 10-19"

# Selectors.

answers ()      # COUNT URL: the statuses of so many requests
{
    local i
    for ((i = 0; i < $1; i++)); do
        get 0 "$2" -r "${3:-0-9}"
        sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p' "$tmp/head"
    done | xargs
}
expect_equal times "$(answers 4 "$u/file?status=503&times=2")" "503 503 206 206"
expect_equal after "$(answers 4 "$u/file?status=503&after=3")" "206 206 206 503"
expect_equal "after, times" "$(answers 5 "$u/file?status=503&after=1&times=2")" "206 503 503 206 206"
expect_equal on "$(answers 6 "$u/file?status=503&on=2,4-5")" "206 503 206 503 503 206"
expect_equal every "$(answers 5 "$u/file?status=503&every=3&after=1")" "206 503 206 206 503"
expect_equal "one more each time" "$(answers 4 "$u/file?status=500..502&every=1")" "500 501 502 500"
expect_equal groups "$(answers 4 "$u/file?status=500&on=1&status=503&on=3&no-etag")" "500 206 503 206"
no_header ETag
expect_equal "at, elsewhere" "$(answers 1 "$u/file?status=503&at=1000&times=1")" 206
expect_equal "at, there" "$(answers 2 "$u/file?status=503&at=1000&times=1" 900-1000)" "503 206"
expect_equal method "$(answers 1 "$u/file?status=503&method=HEAD")" 206
expect_equal chance "$(answers 3 "$u/file?status=503&chance=100&status=500&chance=0")" "503 503 503"
get 0 "$u/file?times=2&status=503"; status 400

# Faults at run time.

origin_faults /file "status=503&times=1"
expect_equal "run time" "$(answers 2 "$u/file")" "503 206"
origin_faults /file "serve=/pattern/4M"
get 0 "$u/file"; size 4194304
origin_faults /file ""
get 0 "$u/file"; size 300000

# Gates: before the headers, and inside the body; for all, and one by one.

origin_ctl reset
for i in 1 2 3; do
    curl -sS -r 0-9 -o "$tmp/g$i" "$u/file?gate=g" &
done
origin_ctl "wait?gate=g&waiting=3"
expect_equal "in progress" "$(origin_ctl "stat?key=in_progress&path=/file")" 3
expect_equal "answers" "$(origin_ctl "stat?key=answers")" 0
origin_ctl "open?gate=g&n=1"
origin_ctl "wait?answers=1"
expect_equal "still waiting" "$(origin_ctl "stat?key=in_progress")" 2
origin_ctl "open?gate=g"
wait %1 %2 %3
for i in 1 2 3; do cp "$tmp/g$i" "$tmp/body"; body "$tmp/www/file" 0 10; done
get 0 -r 0-9 "$u/file?gate=g"           # it is open
origin_ctl "close?gate=g"
get 28 --max-time 0.2 -r 0-9 "$u/file?gate=g"
mkfifo "$tmp/pipe"
curl -sSN -r 0-99 "$u/file?gate=h&gate-at=50" > "$tmp/pipe" &
{
    head -c 50 > "$tmp/body"
    body "$tmp/www/file" 0 50           # these came although the gate is closed
    origin_ctl "wait?gate=h&waiting=1"
    origin_ctl "open?gate=h"
    cat > "$tmp/body"
    body "$tmp/www/file" 50 50
} < "$tmp/pipe"
wait $!

# A client that goes away ends its request, even a stalled one.

curl -sS "$u/file?stall=5" -o /dev/null 2>/dev/null &
origin_ctl "wait?stalled=1"
kill $!
origin_ctl "wait?stalled=0"
settle
if (origin_ctl "wait?requests=999999&timeout=0.01") 2>/dev/null; then fail "a wait for what does not come"; fi

# The listener.

origin_ctl "listen?mode=refuse";        get 7 "$u/file"
origin_ctl "listen?mode=ok";            get 0 "$u/file"
origin_ctl "listen?mode=deaf";          get 28 --connect-timeout 0.2 "$u/file"
origin_ctl "listen?mode=refuse";        get 7 "$u/file"
origin_ctl "listen?mode=deaf";          get 28 --connect-timeout 0.2 "$u/file"
origin_ctl "listen?mode=ok";            get 0 "$u/file"
origin_ctl "listen?mode=close&times=1"; get 52 "$u/file"; get 0 "$u/file"
origin_ctl "listen?mode=reset&times=2"; get "56 7" "$u/file"; get "56 7" "$u/file"; get 0 "$u/file"
origin_ctl "listen?mode=hang&times=1";  get 28 --max-time 0.2 "$u/file"; get 0 "$u/file"
curl -sS "$u/file?stall=5" -o /dev/null 2>/dev/null & pid=$!
origin_ctl "wait?stalled=1"
origin_ctl drop
expect_failure wait $pid

# The log: headers, and nothing of the control connections.

get 0 -A "me and you" "$u/file?x-last"
id=$(log_values request id query=x-last)
expect_equal "header in the log" "$(log_values header value "id=$id" name=User-Agent)" "me%20and%20you"
expect_no_text "control in the log" "$origin_log" _ctl
settle
expect_equal "answers of requests" "$(log_values answer id | wc -l)" "$(count_requests)"

# TLS and Unix socket.

make_certificates
start_origin --tls "$tls_cert" "$tls_key"
get 60 "$origin_url/pattern/4M"
get 0 --cacert "$tls_ca" -r 65000-199999 "$origin_url/pattern/4M"; body "$tmp/pattern" 65000 135000
get 0 --cacert "$tls_ca" "$origin_url/pattern/4M?no-length"; body "$tmp/pattern" 0 4194304
get 18 --cacert "$tls_ca" -r 0-9999 "$origin_url/pattern/4M?cut=50&cut-how=notify"; body "$tmp/pattern" 0 50
get 28 --cacert "$tls_ca" --max-time 2 -r 0-9999 "$origin_url/pattern/4M?stall=50"
status=0
curl -sS --cacert "$tls_ca" -o "$tmp/body" "$origin_url/pattern/4M?no-length&cut=50" 2>/dev/null || status=$?
size 50     # and whether curl calls a TLS stream that is cut without a word complete depends on its TLS
origin_ctl "listen?mode=hang&times=1"
get 28 --cacert "$tls_ca" --max-time 0.2 "$origin_url/pattern/4M"
origin_ctl "wait?open=0"

start_origin --unix "$tmp/origin.sock"
get 0 --unix-socket "$origin_unix" -r 5-9 "$origin_url/pattern/4M"; body "$tmp/pattern" 5 5
origin_ctl "listen?mode=refuse"; get 7 --unix-socket "$origin_unix" "$origin_url/pattern/4M"
origin_ctl "listen?mode=ok"; get 0 --unix-socket "$origin_unix" -r 5-9 "$origin_url/pattern/4M"
