#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# With cookiefile= and cookiejar= cookies that the server sets are sent with the requests that follow, over every
# connection, and only to the hosts that they are for; the jar has them at the end, for its owner alone.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd nbdinfo

start_origin --log-headers
name_url=${origin_url/127.0.0.1/localhost}

# The first answer sets one; a login page that redirects does the same.  Two answers wait for each other, so that there are
# two connections.
start_nbdkit blocksize=64K readahead=0 connections=4 cookiefile= \
    url="$origin_url/pattern/1M?redirect=$(urlencode '/pattern/1M?gate=both&on=2-3')&cookie=$(
         urlencode 'sid=of-the-login; Path=/')&times=1"
start_client << 'END'
import threading
def read(i):
    r = Reader()
    for j in range(4):
        r.read((4 * i + j) * 65536, 65536)
threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
for t in threads: t.start()
for t in threads: t.join()
END
origin_ctl "wait?gate=both&waiting=2"
origin_ctl "open?gate=both"
wait "$client_pid"
stop_nbdkit
requests=$(count_requests)
expect_at_least "requests" "$requests" 16
expect_at_least "connections" "$(log_values open conn | wc -l)" 2
expect_equal "requests with the cookie" "$(log_values header value name=Cookie value=sid=of-the-login | wc -l)" \
    $((requests - 1))

# Without them nothing is kept.
start_origin --log-headers
run_nbdkit 'nbdinfo --size "$uri"' url="$origin_url/pattern/1M?hops=1&cookie=sid%3Dunwanted-cookie" > /dev/null
expect_equal "cookies sent unasked" "$(log_values header value name=Cookie | wc -l)" 0

# The jar: written at the end, read the next time.
start_origin --log-headers
name_url=${origin_url/127.0.0.1/localhost}
jar=$tmp/jar
run_nbdkit 'nbdinfo --size "$uri"' cookiejar="$jar" \
    url="$origin_url/pattern/1M?cookie=$(urlencode 'sid=jar-secret; Path=/; Max-Age=86400')" > /dev/null
expect_text "jar" "$jar" "^127.0.0.1	FALSE	/	FALSE	[0-9]+	sid	jar-secret$"
expect_equal "mode of the jar" "$(stat -c %a "$jar")" 600
expect_equal "cookies before" "$(log_values header value name=Cookie | wc -l)" 0
run_nbdkit 'nbdinfo --size "$uri"' cookiejar="$jar" url="$origin_url/pattern/1M" > /dev/null
expect_equal "from the jar" "$(log_values header value name=Cookie)" sid=jar-secret
expect_text "still there" "$jar" jar-secret
run_nbdkit 'nbdinfo --size "$uri"' cookiefile="$jar" url="$name_url/pattern/1M" > /dev/null
expect_equal "sent to another host" "$(log_values header value name=Cookie | wc -l)" 1
find "$tmp" -maxdepth 1 -name 'jar.*' | grep . && fail "a draft was left"

# What cannot be a jar is left as it is; so is the jar when the other file cannot be read.
head -c 1100000 /dev/zero > "$tmp/image"
cp "$tmp/image" "$tmp/not-a-jar"
cp "$jar" "$tmp/jar-before"
expect_failure run_nbdkit true cookiejar="$tmp/not-a-jar" url="$origin_url/pattern/1M" 2>/dev/null
expect_text "message" "$nbdkit_err" 'cookiejar=.*is larger than 1 MiB'
cmp "$tmp/image" "$tmp/not-a-jar" || fail "what is no jar was written to"
printf 'my notes\nof long ago\n' > "$tmp/notes"
cp "$tmp/notes" "$tmp/notes-before"
expect_failure run_nbdkit true cookiejar="$tmp/notes" url="$origin_url/pattern/1M" 2>/dev/null
expect_text "message" "$nbdkit_err" 'cookiejar=.*is a file of something else, and would be lost'
cmp "$tmp/notes-before" "$tmp/notes" || fail "what is no jar was written to"
expect_failure run_nbdkit true cookiejar=- url="$origin_url/pattern/1M" 2>/dev/null
for jar_before in '' $'# Netscape HTTP Cookie File\n' $'127.0.0.1\tFALSE\t/\tFALSE\t0\tsid\tvalue\n' \
    $'127.0.0.1\tFALSE\t/\tFALSE\t0\tsid\t\n' 'Set-Cookie: a=b'; do
    printf %s "$jar_before" > "$tmp/some-jar"
    run_nbdkit true cookiejar="$tmp/some-jar" url="$origin_url/pattern/1M"
done
expect_failure run_nbdkit true cookiefile="$tmp/image" cookiejar="$jar" url="$origin_url/pattern/1M" 2>/dev/null
cmp "$jar" "$tmp/jar-before" || fail "a jar that was not read was written"

# A file that was laid where a draft of a known name would be stays as it is, and does not become the jar.
start_nbdkit cookiejar="$jar" url="$origin_url/pattern/1M"
echo bait > "$tmp/bait"
chmod 644 "$tmp/bait"
ln "$tmp/bait" "$jar.$nbdkit_pid"
stop_nbdkit
rm -f "$jar.$nbdkit_pid"
expect_equal "bait" "$(cat "$tmp/bait")" bait
expect_equal "mode of the jar" "$(stat -c %a "$jar")" 600

# Two formats; a cookie of no host is the URL's host's, and not that of where it redirects to.  (libcurl 7.88 would send it
# to addresses only, whichever.)
printf '# Netscape\nlocalhost\tFALSE\t/\tFALSE\t0\tone\tfirst-cookie\n' > "$tmp/netscape"
printf 'Set-Cookie: two=second-cookie; Path=/\n' > "$tmp/headers"
start_origin --log-headers
name_url=${origin_url/127.0.0.1/localhost}
for file in netscape headers; do
    run_nbdkit 'nbdinfo --size "$uri"' cookiefile="$tmp/$file" \
        url="$name_url/pattern/1M?redirect=$(urlencode "$origin_url/pattern/1M")" > /dev/null
done
expect_equal "cookies sent" "$(log_values header value name=Cookie | tr '\n' ' ')" "one=first-cookie two=second-cookie "
expect_equal "requests" "$(count_requests)" 4
log_values header id name=Host "value~^127" > "$tmp/elsewhere"
expect_equal "requests elsewhere" "$(wc -l < "$tmp/elsewhere")" 2
while read -r id; do
    expect_equal "cookies sent elsewhere" "$(log_values header value name=Cookie "id=$id")" ""
done < "$tmp/elsewhere"

# Nor that of a subdomain, which only a cookie that names a domain is for.
start_origin --log-headers
site=${origin_url/127.0.0.1/site.example} port=${origin_url##*:}
printf 'Set-Cookie: alone=of-the-site; HttpOnly\nSet-Cookie: wide=of-all; Domain=site.example\n' > "$tmp/headers"
run_nbdkit 'nbdinfo --size "$uri"' cookiefile="$tmp/headers" cookiejar="$tmp/jar2" \
    resolve="site.example:$port:127.0.0.1" resolve="sub.site.example:$port:127.0.0.1" \
    url="$site/pattern/1M?redirect=$(urlencode "${site/site/sub.site}/pattern/1M")" > /dev/null
expect_equal "cookies sent" "$(log_values header value name=Cookie | tr '\n' ' ')" \
    "alone=of-the-site;%20wide=of-all wide=of-all "
expect_text "jar" "$tmp/jar2" '^#HttpOnly_site.example	FALSE	/	FALSE	0	alone	of-the-site$'

# A Host header of the user's, and cookies for that name: they go to the URL's server, and not on to another, be it asked
# by the same handle or by one that has just been used.
start_origin --log-headers
home=$origin_url home_log=$origin_log
start_origin --log-headers
away=$origin_url
printf 'www.example.com\tFALSE\t/\tFALSE\t0\tsid\tof-the-name\n' > "$tmp/named"
for way in "header=Host: www.example.com" "header-script=echo 'Host: www.example.com'"; do
    run_nbdkit 'nbdinfo --size "$uri"' cookiefile="$tmp/named" "$way" \
        url="$home/pattern/1M?redirect=$(urlencode "$away/pattern/1M")" > /dev/null
done
run_nbdkit 'nbdcopy "$uri" null:' cookiefile="$tmp/named" "header=Host: www.example.com" blocksize=64K \
    mirror="$away/pattern/1M" url="$home/pattern/1M" > /dev/null
expect_text "sent home" "$home_log" 'name=Cookie value=sid=of-the-name'
expect_no_text "sent away" "$origin_log" 'of-the-name|www\.example'
expect_at_least "requests away" "$(log_values header id name=Host value="${away#http://}" | wc -l)" 3

# A file without cookies, and a jar that cannot be written, are told.
echo nonsense > "$tmp/none"
run_nbdkit 'nbdinfo --size "$uri"' cookiefile="$tmp/none" url="$origin_url/pattern/1M" 2>/dev/null > /dev/null
expect_text "warning" "$nbdkit_err" 'cookiefile=.*there is no cookie in it'
mkdir "$tmp/gone"
start_nbdkit cookiejar="$tmp/gone/jar" url="$origin_url/pattern/1M"
rmdir "$tmp/gone"
stop_nbdkit
expect_text "warning" "$nbdkit_err" 'cookiejar=.*could not be written: .*No such file'
