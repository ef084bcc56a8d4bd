#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright the httpcache authors
#
# A login and headers go to the server of the configured URL, not to one that it redirects to: the image comes from
# there without them, redirected once, not for every request.
set -e -u
. "${srcdir:-$(dirname "$0")}/functions.sh"
requires python:nbd

start_origin --log-headers
store_url=$origin_url store_log=$origin_log
start_origin --log-headers
start_nbdkit blocksize=64K readahead=0 user=alice password=wonderland header='Authorization: Bearer of-news' \
    header='X-Store-Token: for-home' \
    url="$origin_url/pattern/1M?redirect=$store_url/pattern/1M"
client << 'END'
Reader().read(0, MiB)
END
expect_text "sent home" "$origin_log" 'of-news'
expect_no_text "sent to the store" "$store_log" 'of-news|wonderland|for-home|[Aa]uthorization'
expect_equal "requests redirected" "$(count_requests path=/pattern/1M)" 1
origin_log=$store_log
expect_at_least "requests to the store" "$(count_requests path=/pattern/1M)" 2

# On the same server they stay.
start_origin --log-headers
start_nbdkit blocksize=64K readahead=0 user=alice password=wonderland \
    url="$origin_url/pattern/1M?hops=2&basic=alice:wonderland"
client << 'END'
Reader().read(0, MiB)
END
