// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// http_errors.h - what libcurl's error codes mean for us.
//
// The one place where a CURLcode becomes an Error: its kind, its text, and what
// the user can do.  Pure; any thread.
#ifndef HTTPCACHE_HTTP_ERRORS_H
#define HTTPCACHE_HTTP_ERRORS_H

#include <string_view>

#include "error.h"

namespace httpcache {

// CODE is a CURLcode, not CURLE_OK.  DETAIL is curl's error buffer, which may
// hold URLs with secrets and is redacted here.  REQUEST is request_text().
// UNIX_SOCKET is where connections went instead of the URL's host, or empty.
Error error_from_curl(int code, std::string_view detail, std::string_view request,
                      std::string_view unix_socket = {});

// WHAT, a function of libcurl or of its callbacks, failed as it does only for
// want of memory.
Error no_memory(const char *what);

} // namespace httpcache

#endif
