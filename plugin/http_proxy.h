// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// http_proxy.h - the proxy: how libcurl is told of it, and which one it is.
//
// proxy= goes before the environment's http_proxy and its kin; an empty proxy=
// is none.  no_proxy of the environment names hosts that are asked directly
// whichever it is: libcurl sees to that, and does not tell, so that what is said
// here of a proxy is of one that may have been in the way.
//
// Threads: any; the environment must not change.  Errors: as http_options.h.
#ifndef HTTPCACHE_HTTP_PROXY_H
#define HTTPCACHE_HTTP_PROXY_H

#include <string_view>

#include "config.h"
#include "error.h"
#include "http_errors.h"

namespace httpcache {

// Can this libcurl use it?
Result<void> check_proxy(const Config &config);

// To EASY, a CURL*: proxy, login and certificates.
Result<void> set_up_proxy(void *easy, const Config &config);

// The proxy that requests for URL go through, unless no_proxy says otherwise.
Via proxy_for(const Config &config, std::string_view url);

} // namespace httpcache

#endif
