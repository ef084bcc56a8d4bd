#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# A server that wants a certificate of its client is shown that of sslcert= and sslkey=, which nobody else gets; what is
# wrong with it is told with the parameter that mends it, and nothing ever asks on the terminal.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires nbdinfo openssl

make_certificate client ca
make_certificate stranger other-ca
make_certificate late ca -1
d=$tmp/tls
openssl ec -aes256 -passout pass:hunter2-key -in "$d/client-key.pem" -out "$d/locked.pem" 2>/dev/null
cat "$d/client.pem" "$d/client-key.pem" > "$d/both.pem"
printf 'hunter2-key\n' > "$tmp/password"
make_pattern "$tmp/www/file" 1M
with=(cainfo="$tls_ca")

# serves PARAMETERS...
serves ()
{
    run_nbdkit 'nbdinfo --size "$uri"' "${with[@]}" retries=0 url="$origin_url/file" "$@" > "$tmp/size"
    expect_equal "size" "$(cat "$tmp/size")" 1048576
}

# refused REGEX PARAMETERS...
refused ()
{
    local regex=$1
    shift
    expect_failure run_nbdkit 'nbdinfo "$uri"' "${with[@]}" retries=0 url="${url:-$origin_url/file}" "$@" 2>/dev/null < /dev/null
    expect_text "message for $*" "$nbdkit_err" "$regex"
    expect_no_text "the password" "$nbdkit_err" 'hunter2'
}

for version in TLSv1_2 TLSv1_3; do
    start_origin --tls "$tls_cert" "$tls_key" --client-ca "$tls_ca" --tls-max $version
    serves sslcert="$d/client.pem" sslkey="$d/client-key.pem"
    serves sslcert="$d/both.pem"
    serves sslcert="$d/client.pem" sslkey="$d/locked.pem" sslkey-password=+"$tmp/password"
    serves sslcert="$d/client.pem" sslkey="$d/locked.pem" sslkey-password=-7 7< "$tmp/password"
    refused 'certificate.*sslcert=' sslverify=true
    refused 'sslcert=' sslcert="$d/stranger.pem" sslkey="$d/stranger-key.pem"
    refused 'sslkey-password=' sslcert="$d/client.pem" sslkey="$d/locked.pem"
    refused 'sslkey-password=' sslcert="$d/client.pem" sslkey="$d/locked.pem" sslkey-password=hunter2-wrong
    refused 'the key is that of the certificate' sslcert="$d/client.pem" sslkey="$d/stranger-key.pem"
    refused 'PEM files' sslcert="$d/ext" sslkey="$d/client-key.pem"
    refused 'the certificate of sslcert=.*expired' sslcert="$d/late.pem" sslkey="$d/late-key.pem"
done

url="$origin_url/file?status=400" refused 'does it not accept the certificate of sslcert=\?' sslcert="$d/both.pem"

# Without the password nobody is asked for it, though there is a terminal.
"$python" - "$NBDKIT" -U - "$PLUGIN" cainfo="$tls_ca" retries=0 sslcert="$d/client.pem" sslkey="$d/locked.pem" \
    url="$origin_url/file" --run true > "$tmp/terminal" << 'END'
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    try:
        said = os.read(terminal, 4096)
    except OSError:             # nobody is left at the other end
        break
    sys.stdout.buffer.write(said)
    sys.stdout.flush()
    if b"phrase" in said:
        os.write(terminal, b"hunter2-key\n")
sys.exit(0 if os.waitpid(pid, 0)[1] != 0 else "it was served")
END
expect_text "said at the terminal" "$tmp/terminal" 'sslkey-password='
expect_no_text "asked at the terminal" "$tmp/terminal" 'phrase'

# Not to whom it is redirected: that one wants it, and does not get it.
theirs=$origin_url
start_origin --tls "$tls_cert" "$tls_key"
url="$origin_url/file?redirect=$(urlencode "$theirs/file")" \
    refused 'the server wants a certificate of the client' sslcert="$d/both.pem"
