#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# --help, --dump-plugin and the manual page name the same parameters with the same defaults, and the first two need no
# URL.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"

"$NBDKIT" "$PLUGIN" --help > "$tmp/help"
"$NBDKIT" "$PLUGIN" --dump-plugin > "$tmp/dump"
sed -n 's/^ *\([a-z][a-z0-9-]*\)=<.*/\1/p' "$tmp/help" > "$tmp/keys"
expect_at_least "parameters in --help" "$(wc -l < "$tmp/keys")" 15
LC_ALL=C sort -c "$tmp/keys" || fail "--help is not in the order of the alphabet"

for word in curl_version curl_ssl_version curl_feature_http2 version; do
    expect_text "--dump-plugin" "$tmp/dump" "^$word=."
done
# Long names have their line for themselves.
sed -e ':more' -e N -e '$!bmore' -e 's/\n  */ /g' "$tmp/help" > "$tmp/folded"
# Every default that is dumped is of a parameter, and --help shows it (sizes are bytes in the dump).
sed -n 's/^httpcache_default_\([a-z0-9_]*\)=.*/\1/p' "$tmp/dump" | tr _ - > "$tmp/dumped"
expect_at_least "defaults in --dump-plugin" "$(wc -l < "$tmp/dumped")" 5
if comm -13 <(sort "$tmp/keys") <(sort "$tmp/dumped") | grep .; then fail "a default of no parameter"; fi
while read -r key; do
    expect_text "default of $key in --help" "$tmp/folded" "^ *$key=.*default"
done < "$tmp/dumped"

# The parameters of issue after issue: one that goes away must go away here, too.
for key in url offset size blocksize cache-blocks readahead connections sslverify cainfo capath user password header \
    user-agent timeout unix-socket-path http-version connect-timeout retries retry-delay retry-max-time followlocation \
    insecure-redirects protocols aws-sigv4 bearer-token cookie cookiefile cookiejar ipresolve mirror netrc \
    proxy proxy-cainfo proxy-capath proxy-password proxy-user resolve ssl-cipher-list ssl-version sslcert sslkey \
    sslkey-password tcp-keepalive tcp-nodelay tls13-ciphers ignore-etag header-script header-script-renew \
    cookie-script cookie-script-renew; do
    expect_text "parameter" "$tmp/keys" "^$key$"
done

pod=$abs_top_srcdir/nbdkit-httpcache-plugin.pod
sed -n '/^=head1 PARAMETERS/,/^=head1 [^P]/p' "$pod" | sed -n 's/^=item .*B<\([a-z][a-z0-9-]*\)=>.*/\1/p' > "$tmp/pod-keys"
LC_ALL=C sort -u -c "$tmp/pod-keys" || fail "the manual's parameters are not in the order of the alphabet"
diff "$tmp/keys" "$tmp/pod-keys" || fail "--help (<) and the manual (>) name different parameters"
