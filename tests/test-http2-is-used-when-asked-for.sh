#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# Each http-version speaks to each server what the manual says: HTTP/1.1 unless asked for more, HTTP/2 where server and
# parameter agree on it, else HTTP/1.1 again; the bytes are the same.  Where they cannot agree the message names the
# parameter, and so it does with a libcurl that has no HTTP/2.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires nbdcopy g++

make_random "$tmp/www/file" 20000001
start_nginx

# spoken WANTED PARAMETERS...: a copy over this version, as nginx logs it and the trace says.
spoken ()
{
    local wanted=$1
    shift
    : > "$nginx_log"
    run_nbdkit "nbdcopy \"\$uri\" '$tmp/copy'" -D httpcache.http=1 -- blocksize=64K "$@" 2>/dev/null
    cmp "$tmp/www/file" "$tmp/copy" || fail "the copy with $* is not the same"
    expect_equal "version with $*" "$(sed 's/.* http=\([^ ]*\) .*/\1/' "$nginx_log" | sort -u | xargs)" "$wanted"
    if [ "$wanted" = HTTP/2.0 ]; then
        expect_equal "trace with $*" "$(grep -c ' done .*connection=[0-9]* [a-z-]* http=2 ' "$nbdkit_err")" \
            "$(grep -c ' done ' "$nbdkit_err")"
    else
        expect_no_text "trace with $*" "$nbdkit_err" 'http=2'
    fi
}

spoken HTTP/1.1 cainfo="$tls_ca" url="$nginx_h2_url/file"
spoken HTTP/1.1 cainfo="$tls_ca" url="$nginx_h2_url/file" http-version=1.1
spoken HTTP/1.0 cainfo="$tls_ca" url="$nginx_h2_url/file" http-version=1.0
for version in none 2.0 2TLS; do
    spoken HTTP/2.0 cainfo="$tls_ca" url="$nginx_h2_url/file" http-version=$version
    spoken HTTP/1.1 cainfo="$tls_ca" url="$nginx_tls_url/file" http-version=$version
    spoken HTTP/1.1 url="$nginx_url/file" http-version=$version
done
spoken HTTP/2.0 cainfo="$tls_ca" url="$nginx_h2_url/file" http-version=2-prior-knowledge
for connections in 1 256; do
    spoken HTTP/2.0 cainfo="$tls_ca" url="$nginx_h2_url/file" http-version=2.0 connections=$connections
done

refused_version=2-prior-knowledge
# refused REGEX PARAMETERS...
refused ()
{
    local regex=$1
    shift
    expect_failure run_nbdkit true http-version="$refused_version" cainfo="$tls_ca" "$@"
    expect_text "message for $*" "$nbdkit_err" "error: .*$regex"
}

# Without asking: in clear, libcurl's first version that can is 8.0.  With TLS, older ones do ask.
version=$("$NBDKIT" "$PLUGIN" --dump-plugin | sed -n 's/^curl_dynamic_version=//p')
if [ "${version%%.*}" -ge 8 ]; then
    spoken HTTP/2.0 url="$nginx_h2c_url/file" http-version=2-prior-knowledge
    refused 'http-version=2-prior-knowledge' url="$nginx_url/file"
    refused 'http-version=2-prior-knowledge' url="$nginx_tls_url/file"
else
    refused 'http-version=2-prior-knowledge: .* 8\.0' url="$nginx_h2c_url/file"
fi

# A libcurl without HTTP/2.
cat > "$tmp/without.c" << 'END'
#define _GNU_SOURCE
#include <curl/curl.h>
#include <dlfcn.h>
curl_version_info_data *curl_version_info(CURLversion now)
{
    curl_version_info_data *(*real)(CURLversion);
    *(void **)&real = dlsym(RTLD_NEXT, "curl_version_info");
    curl_version_info_data *info = real(now);
    info->features &= ~(CURL_VERSION_HTTP2 | CURL_VERSION_HTTP3);
    return info;
}
END
g++ -x c -shared -fPIC -o "$tmp/without.so" "$tmp/without.c" -ldl
export NBDKIT_PRELOAD="${NBDKIT_PRELOAD:+$NBDKIT_PRELOAD }$tmp/without.so"
refused 'http-version=2-prior-knowledge: .*without HTTP/2.*http-version=1\.1' url="$nginx_h2_url/file"
spoken HTTP/1.1 cainfo="$tls_ca" url="$nginx_h2_url/file"
for refused_version in 3 3only; do
    refused "http-version=$refused_version: .*without HTTP/3.*http-version=1\.1 or 2\.0" url="$nginx_h2_url/file"
done
