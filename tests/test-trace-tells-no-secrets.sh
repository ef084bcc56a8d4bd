#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Secrets appear nowhere: in no trace line under any flag, no error, no description, no dump; whichever way they were
# given, and also when things go wrong.  They do reach the server that they are for.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd nbdinfo

start_origin --log-headers
other_log=$origin_log other_url=$origin_url
start_origin --log-headers
all="$tmp/everything"
flags=()
for flag in http cache readahead verbose times stats; do flags+=(-D "httpcache.$flag=1"); done
printf 'hunter2-file' > "$tmp/password"

# tells PARAMETERS...: serve and read with all flags; what is said is added to $all.
tells ()
{
    start_nbdkit "${flags[@]}" -- blocksize=64K "$@"
    nbdinfo "$nbd_uri" >> "$all" 2>&1
    nbdinfo --list --json "$nbd_uri" >> "$all" 2>&1
    client << 'END' >> "$all" 2>&1
r = Reader()
for i in range(8):
    r.read(i * 65536, 65536)
END
    stop_nbdkit
    cat "$nbdkit_err" >> "$all"
}

# fails PARAMETERS...: not even served.
fails ()
{
    expect_failure run_nbdkit 'nbdinfo "$uri"' "${flags[@]}" -- "$@" >> "$all" 2>&1
}

quoted=${origin_url#http://}
tells user=joe password=hunter2-word url="$origin_url/pattern/4M?basic=joe:hunter2-word"
tells user=joe password=+"$tmp/password" url="$origin_url/pattern/4M?basic=joe:hunter2-file"
tells url="http://joe:hunter2%2Durl@$quoted/pattern/4M?basic=joe:hunter2-url"
tells header='Authorization: Bearer hunter2-bearer' header='X-Token: hunter2-header' \
    header='Cookie: session=hunter2-cookie' url="$origin_url/pattern/4M?bearer=hunter2-bearer"
tells url="$origin_url/pattern/4M?X-Amz-Signature=hunter2-signature&X-Amz-Credential=hunter2-credential"
tells url="$origin_url/pattern/4M?redirect=$(urlencode "/pattern/4M?X-Amz-Signature=hunter2-redirect")"
tells user=joe password=hunter2-cut url="$origin_url/pattern/4M?cut=100&at=262144&times=1&X-Sig=hunter2-signature"

# Those of other kinds of login.
tells bearer-token=hunter2-token url="$origin_url/pattern/4M?bearer=hunter2-token"
tells cookie='id=hunter2-id; b=hunter2-b' url="$origin_url/pattern/4M"
tells cookiejar="$tmp/jar" url="$origin_url/pattern/4M?cookie=$(urlencode 'jar=hunter2-jar; Path=/')"
tells cookiejar="$tmp/jar" url="$origin_url/pattern/4M"
tells cookiejar="$tmp/jar" url="$origin_url/pattern/4M?cookie=$(urlencode 'jar=hunter2-new; Path=/')"
expect_text "the server's cookie" "$tmp/jar" hunter2-new
printf 'X-Else: hunter2-else\nAuthorization: Bearer hunter2-file-bearer\n' > "$tmp/headers"
tells header=+"$tmp/headers" url="$origin_url/pattern/4M"
printf 'default login joe password hunter2-netrc\n' > "$tmp/netrc"
tells netrc="$tmp/netrc" url="$origin_url/pattern/4M?basic=joe:hunter2-netrc"
tells user=KEYID password=hunter2-aws aws-sigv4=aws:amz:us-east-1:s3 header='x-amz-security-token: hunter2-session' \
    url="$origin_url/pattern/4M?sigv4=KEYID:hunter2-aws:us-east-1:s3"
# "hunter2" is not in the command, which anybody may see.
printf 'X-Script: hunter2-script\nAuthorization: Bearer hunter2-script-bearer\n' > "$tmp/printed"
printf 'id=hunter2-script-cookie\n' > "$tmp/printed-cookie"
tells header-script="cat '$tmp/printed'; cat '$tmp/printed' >&2" cookie-script="cat '$tmp/printed-cookie'" \
    url="$origin_url/pattern/4M?bearer=hunter2-script-bearer"
expect_text "what a script printed was sent" "$origin_log" 'value=id=hunter2-script-cookie'
tells proxy="http://joe:hunter2-proxy@$quoted" url="http://elsewhere.example/pattern/4M"
http_proxy=joe:hunter2-env@$quoted tells url="http://elsewhere.example/pattern/4M"
http_proxy=http://joe:hunter2-url-env@$quoted tells url="http://elsewhere.example/pattern/4M"
fails proxy="http://joe:hunter2-proxy@$quoted" url="https://elsewhere.example/pattern/4M"
fails proxy="http://joe:hunter2-proxy@$quoted/path" url="https://elsewhere.example/pattern/4M"
https_proxy=joe:hunter2-env@$quoted fails url="https://elsewhere.example/pattern/4M"
no_port=99999
http_proxy=joe:hunter2-env@127.0.0.1:$no_port fails url="http://elsewhere.example/pattern/4M"
# A server that says them again, in a header that is no secret one.
again="$origin_url/pattern/4M?status=401&www-authenticate=$(urlencode 'Basic realm="hunter2-again"')"
printf 'default login joe password hunter2-again\n' > "$tmp/netrc"
fails netrc="$tmp/netrc" url="$again"
fails bearer-token=hunter2-again url="$again"
fails cookie=id=hunter2-again url="$again"
printf '127.0.0.1\tFALSE\t/\tFALSE\t0\tid\thunter2-again\n' > "$tmp/cookies"
fails cookiefile="$tmp/cookies" url="$again"
fails proxy="$quoted" proxy-user=joe proxy-password=hunter2-again url="$again"
fails header-script="echo X-Script: hunter2-again" url="$again"
fails header-script="cat '$tmp/printed'; cat '$tmp/printed' >&2; exit 1" url="$origin_url/pattern/4M"
printf '{"token":"hunter2-json","expires_in":[300,"hunter2-list"]}\n' > "$tmp/json"
fails header-script="cat '$tmp/json'; tr -d '{}[]\"' < '$tmp/json' | tr :, '\n' | tail -n 1 >&2; exit 1" url="$origin_url/pattern/4M"
fails header-script="cat '$tmp/json'; grep -o 'hunter2-json' '$tmp/json' >&2; exit 1" url="$origin_url/pattern/4M"
fails header-script="cat '$tmp/printed-cookie'" url="$origin_url/pattern/4M"
fails cookie-script="cat '$tmp/printed'; cat '$tmp/printed' >&2" url="$origin_url/pattern/4M"
fails proxy-user=joe proxy-password=hunter2-nowhere url="$origin_url/pattern/4M"
fails bearer-token=hunter2-both user=joe url="$origin_url/pattern/4M"
fails cookie="$(printf 'hunter2\nhunter2')" url="$origin_url/pattern/4M"
printf 'machine hunter2 login joe password hunter2 hunter2\n' > "$tmp/bad"
fails netrc="$tmp/bad" url="$origin_url/pattern/4M"
fails header=+"$tmp/bad" url="$origin_url/pattern/4M"

# When it goes wrong.
fails user=joe password=hunter2-wrong url="$origin_url/pattern/4M?basic=joe:else&X-Sig=hunter2-signature"
fails header='Authorization: Bearer hunter2-bearer' url="$origin_url/nothing?X-Sig=hunter2-signature"
fails user=joe password=hunter2-range url="$origin_url/pattern/4M?ignore-range&X-Sig=hunter2-signature"
fails url="http://joe:hunter2-url@$quoted/pattern/4M?status=403&X-Sig=hunter2-signature"
fails url="http://joe:hunter2-url@$quoted/pattern/4M?redirect=loop&X-Sig=hunter2-signature"
fails url="https://joe:hunter2-url@$quoted/pattern/4M?X-Sig=hunter2-signature"
fails url="ftp://joe:hunter2-url@$quoted/pattern/4M?X-Sig=hunter2-signature"
fails url="http://joe:hunter2-url@[bad/pattern/4M?X-Sig=hunter2-signature"
fails url="http://joe:hunter2-url@$quoted/a" url="http://joe:hunter2-again@$quoted/b?X-Sig=hunter2-signature"
fails password=hunter2-nobody url="$origin_url/pattern/4M"
fails user=joe password=-hunter2-dash url="$origin_url/pattern/4M"
fails user=joe:hunter2-user url="$origin_url/pattern/4M"
fails header='Authorization hunter2-header' url="$origin_url/pattern/4M"
fails header='Bad Name: hunter2-header' url="$origin_url/pattern/4M"
fails password=+"$tmp/nothing" user=joe blocksize=5 url="http://joe:hunter2-url@$quoted/pattern/4M"
"$NBDKIT" --dump-plugin "$PLUGIN" user=joe password=hunter2-dump url="http://a:hunter2-dump@b/?X-Sig=hunter2-dump" \
    >> "$all" 2>&1 || true

expect_at_least "lines that could tell" "$(wc -l < "$all")" 500
expect_no_text "secrets in what was said" "$all" 'hunter2'
# Nor encoded, as they go over the wire.
for secret in joe:hunter2-word joe:hunter2-file joe:hunter2-url joe:hunter2-wrong joe:hunter2-netrc joe:hunter2-proxy \
    joe:hunter2-env; do
    expect_no_text "secrets in base64" "$all" "$(printf %s "$secret" | base64)"
done

# The server that they are for has seen them; one that it redirected to has not.
expect_at_least "requests with a password" \
    "$(log_values header value name=Authorization "value=Basic%20$(printf joe:hunter2-word | base64)" | wc -l)" 2
elsewhere="$origin_url/pattern/4M?redirect=$(urlencode "$other_url/pattern/4M")"
run_nbdkit 'nbdinfo "$uri"' user=joe password=hunter2-elsewhere url="$elsewhere" > /dev/null
run_nbdkit 'nbdinfo "$uri"' header='Authorization: Bearer hunter2-elsewhere' url="$elsewhere" > /dev/null
run_nbdkit 'nbdinfo "$uri"' header='Cookie: session=hunter2-elsewhere' url="$elsewhere" > /dev/null
run_nbdkit 'nbdinfo "$uri"' url="${elsewhere/\/\////joe:hunter2-elsewhere@}" > /dev/null
origin_log=$other_log
expect_at_least "requests at the other server" "$(count_requests)" 4
expect_no_text "secrets at another server" "$other_log" 'hunter2|Authorization'
