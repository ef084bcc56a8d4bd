#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Through a real proxy: requests in clear and tunnels for https, with and without a login, over TLS with its own CA; named
# by proxy= or the environment.  When it fails the message names the proxy and the parameters, and no password.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd nbdinfo tinyproxy

make_certificates
start_origin --log-headers
http_url=$origin_url http_log=$origin_log
start_origin --tls "$tls_cert" "$tls_key" --log-headers
https_url=$origin_url https_log=$origin_log
start_proxy ann:hunter2-proxy
locked=127.0.0.1:$proxy_port locked_log=$proxy_log
start_proxy
open=127.0.0.1:$proxy_port open_log=$proxy_log
printf 'hunter2-proxy\n' > "$tmp/password"
login=(proxy-user=ann proxy-password=+"$tmp/password")

# serves LOG REGEX URL PARAMETERS...: the image is read, and the proxy's log has a new line like that.
serves ()
{
    local log=$1 regex=$2 url=$3 before
    shift 3
    before=$(grep -cE -e "$regex" "$log" || true)
    start_nbdkit cainfo="$tls_ca" retries=0 blocksize=64K url="$url/pattern/1M" "$@"
    client << 'END'
Reader().read(0, MiB)
END
    stop_nbdkit
    expect_at_least "requests through the proxy with $*" "$(grep -cE -e "$regex" "$log" || true)" $((before + 1))
}

# refused REGEX URL PARAMETERS...
refused ()
{
    local regex=$1 url=$2
    shift 2
    expect_failure run_nbdkit 'nbdinfo "$uri"' cainfo="$tls_ca" retries=0 url="$url/pattern/1M" "$@" 2>/dev/null
    expect_text "message for $*" "$nbdkit_err" "$regex"
    expect_no_text "the password" "$nbdkit_err" 'hunter2'
}

got="Request.*GET $http_url/pattern/1M"
tunnel="Request.*CONNECT ${https_url#https://}"

serves "$open_log" "$got" "$http_url" proxy="http://$open"
serves "$open_log" "$tunnel" "$https_url" proxy="$open"
serves "$locked_log" "$got" "$http_url" proxy="http://$locked" "${login[@]}"
serves "$locked_log" "$tunnel" "$https_url" proxy="http://$locked" "${login[@]}"
serves "$locked_log" "$tunnel" "$https_url" proxy="http://ann:hunter2%2Dproxy@$locked"

# The environment's, and none.
http_proxy=http://$open serves "$open_log" "$got" "$http_url"
https_proxy=http://ann:hunter2-proxy@$locked serves "$locked_log" "$tunnel" "$https_url"
https_proxy=http://$locked serves "$locked_log" "$tunnel" "$https_url" "${login[@]}"
https_proxy=http://$locked serves "$open_log" "$tunnel" "$https_url" proxy="$open"
lines=$(wc -l < "$open_log")
http_proxy=http://$open run_nbdkit 'nbdinfo --size "$uri"' proxy= url="$http_url/pattern/1M" > /dev/null
no_proxy=127.0.0.1 run_nbdkit 'nbdinfo --size "$uri"' proxy="$open" url="$http_url/pattern/1M" > /dev/null
expect_equal "lines of the proxy's log" "$(wc -l < "$open_log")" "$lines"

# It does not let us.
for url in "$http_url" "$https_url"; do
    refused "the proxy http://$locked answered 40[17].*proxy-user=.*proxy-password=" "$url" proxy="$locked"
    refused "the proxy http://$locked,? answered 40[17].*proxy-user=.*proxy-password=" "$url" proxy="$locked" \
        proxy-user=ann proxy-password=hunter2-wrong
    refused "the proxy http://$locked,? answered 40[17]" "$url" proxy="http://ann:hunter2-wrong@$locked"
done
# It is not there, or not found, or cannot reach the server.
start_origin
origin_ctl listen?mode=refuse
nobody=${origin_url#http://}
for url in "$http_url" "$https_url"; do
    refused "the proxy http://$nobody: .*connect.*proxy=" "$url" proxy="$nobody"
    refused 'the proxy http://proxy.invalid:1: .*proxy.*proxy=' "$url" proxy=proxy.invalid:1
    http_proxy=http://ann:hunter2-env@$nobody https_proxy=ann:hunter2-env@$nobody \
        refused "the proxy http://$nobody: .*in the environment" "$url"
done
refused "the proxy http://$open,? answered 5" "http://$nobody" proxy="$open"
refused "the proxy http://$open answered 5.. to CONNECT" "https://$nobody" proxy="$open"

# What is for the server the proxy is not told: CONNECT has its login, and no other.
start_origin --log-headers
expect_failure run_nbdkit 'nbdinfo "$uri"' retries=0 proxy="${origin_url#http://}" "${login[@]}" user=joe password=wonderland \
    cookie=for-home=wonderland header='X-Token: wonderland' bearer-token= url="$https_url/pattern/1M" 2>/dev/null
expect_failure run_nbdkit 'nbdinfo "$uri"' retries=0 proxy="${origin_url#http://}" "${login[@]}" user=joe password=wonderland \
    cookie=for-home=wonderland header='X-Token: wonderland' url="$https_url/pattern/1M" 2>/dev/null
expect_equal "asked for" "$(log_values request method)" CONNECT
expect_equal "login of the proxy" "$(log_values header value name=Proxy-Authorization)" \
    "Basic%20$(printf ann:hunter2-proxy | base64)"
expect_no_text "what is for the server" "$origin_log" "wonderland|name=Authorization|name=Cookie|$(printf joe:wonderland | base64)"
# And the server is not told what is for the proxy.
for log in "$http_log" "$https_log"; do
    expect_text "headers" "$log" 'name=Host'
    expect_no_text "what is for the proxy" "$log" 'Proxy-Authorization|hunter2'
done

# TLS with the proxy.
if command -v stunnel > /dev/null; then
    make_certificate of-the-proxy other-ca
    start_tls_proxy "$tmp/tls/of-the-proxy.pem" "$tmp/tls/of-the-proxy-key.pem"
    secure=https://127.0.0.1:$tls_proxy_port
    serves "$open_log" "$got" "$http_url" proxy="$secure" proxy-cainfo="$tls_other_ca"
    serves "$open_log" "$tunnel" "$https_url" proxy="$secure" proxy-cainfo="$tls_other_ca"
    mkdir "$tmp/certs"
    cp "$tls_other_ca" "$tmp/certs/$(openssl x509 -hash -noout -in "$tls_other_ca").0"
    serves "$open_log" "$tunnel" "$https_url" proxy="$secure" proxy-cainfo= proxy-capath="$tmp/certs"
    for url in "$http_url" "$https_url"; do
        refused "the proxy $secure: .*proxy-cainfo=" "$url" proxy="$secure"
        refused "the proxy $secure: .*proxy-cainfo=" "$url" proxy="$secure" proxy-cainfo="$tls_ca" sslverify=false
    done
    # The server's own certificate is still looked at, and is not the proxy's.
    refused "through the proxy $secure: .*cainfo=FILE" "$https_url" proxy="$secure" \
        proxy-cainfo="$tls_other_ca" cainfo="$tls_other_ca"
else
    echo "no stunnel: nothing is said of https proxies" >&2
fi

# SOCKS; the server's restart is waited for behind it, too.
start_socks_proxy
for scheme in socks5 socks5h; do
    serves "$proxy_log" "CONNECT 127.0.0.1:${http_url##*:} 0" "$http_url" proxy="$scheme://127.0.0.1:$proxy_port"
    serves "$proxy_log" "CONNECT 127.0.0.1:${https_url##*:} 0" "$https_url" proxy="$scheme://127.0.0.1:$proxy_port"
done
refused "the proxy socks5://127.0.0.1:$proxy_port: .*\(5\); it could not connect to that host and port" "http://$nobody" \
    proxy="socks5://127.0.0.1:$proxy_port"
start_origin
start_nbdkit -D httpcache.http=1 -- blocksize=64K readahead=0 retry-delay=0.1 proxy="socks5://127.0.0.1:$proxy_port" \
    url="$origin_url/pattern/1M"
origin_ctl "listen?mode=refuse"
origin_ctl drop
start_client <<< 'Reader().read(512 * KiB, 64 * KiB)'
await_text "$nbdkit_err" 'retry in .*could not connect to that host'
origin_ctl "listen?mode=ok"
wait "$client_pid"
stop_nbdkit

# What is none is named.
no_port=99999
for text in foo://127.0.0.1 ann:hunter2-env@127.0.0.1:$no_port; do
    http_proxy=$text refused 'all_proxy in the environment' "$http_url"
done
