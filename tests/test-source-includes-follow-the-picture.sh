#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# The parts of the plugin know each other as the picture says, and no more: calls go one way, down.  A part that is not in
# the picture fails this test, and so does a line of the picture that nothing needs.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"

# Who may include whom.  All may include the leaves.
picture='
plugin:       config curl_library image
image:        block_cache config fetcher http_engine locality object probe readahead retry
fetcher:      arrival block_cache demand http_engine mirror_checks mirrors object retry transfer
laggards:     fetcher
setbacks:     fetcher
demand:       block_cache
transfer:     block_cache http_engine mirrors object route
mirror_checks: arrival http_engine mirrors object
mirrors:      flow object retry route
route:        retry
probe:        arrival http_engine object retry
arrival:      http_engine http_headers object
http_engine:  config http_attempt http_errors http_options http_sockets http_times object renewal
http_attempt: http_errors http_headers http_options http_sockets object
http_options: config http_cookies http_credentials http_errors http_proxy object renewal
http_cookies: config config_values http_errors url
http_credentials: config http_errors renewal url
renewal:      config config_values header_line script
http_proxy:   config http_errors url
block_cache:  replacement slab
replacement:  slab
object:       http_headers
config:       config_values netrc url
parameters:   config config_values url
parameters_login:   config_values header_line parameters
parameters_network: config_values parameters url
'
leaves='ascii clock config_values curl_library error flow geometry header_line http_errors http_headers http_sockets http_times locality log mutex netrc
        readahead redact retry script slab stats unique_fd url'
# Who may see the outside.
curl='curl_library http_attempt http_cookies http_credentials http_engine http_errors http_options http_proxy http_sockets http_times url'
nbdkit='config_values log parameters plugin'

has () { [[ " $(echo $1) " = *" $2 "* ]]; }

cd "$abs_top_srcdir/plugin"
for file in *.h *.cc; do
    part=${file%.*}
    allowed=$(sed -n "s/^$part://p" <<< "$picture")
    if [ -z "$allowed" ] && ! has "$leaves" "$part"; then complain "$file is in no place of the picture"; fi
    for included in $(sed -n 's/^#include "\(.*\)\.h"$/\1/p' "$file"); do
        if [ "$included" = "$part" ] || [ "$included" = build_config ]; then continue; fi
        if ! has "$allowed" "$included" && ! has "$leaves" "$included"; then complain "$file includes $included.h"; fi
    done
    if grep -q '^#include <curl/' "$file" && ! has "$curl" "$part"; then complain "$file includes libcurl's header"; fi
    if grep -q '^#include <nbdkit' "$file" && ! has "$nbdkit" "$part"; then complain "$file includes nbdkit's header"; fi
    # libcurl's and nbdkit's types are not handed on, so neither is in a header of ours.
    if [ "$file" != "${file%.h}" ] && grep -qE '^#include <(curl/|nbdkit)' "$file"; then complain "$file hands it on"; fi
done

# Leaves that include others are leaves of the same tree only as long as there is no way round.
edges=$(for file in *.h *.cc; do
    sed -n "s/^#include \"\(.*\)\.h\"$/${file%.*} \1/p" "$file" | awk '$1 != $2'
done | sort -u)
tsort <<< "$edges" > /dev/null 2> "$tmp/cycles" || true
expect_no_text "parts that include each other in a circle" "$tmp/cycles" .

# Each line of the picture is true.
while read -r part allowed; do
    for included in $allowed; do
        grep -qx "${part%:} $included" <<< "$edges" || complain "the picture says ${part%:} needs $included"
    done
done <<< "$(grep : <<< "$picture")"
