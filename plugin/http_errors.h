// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// http_errors.h - what libcurl's error codes mean for us.
//
// The one place where a CURLcode becomes an Error: its kind, its text, and what
// the user can do.  Pure; any thread.
#ifndef HTTPCACHE_HTTP_ERRORS_H
#define HTTPCACHE_HTTP_ERRORS_H

#include <string>
#include <string_view>

#include "error.h"

namespace httpcache {

// The proxy in the way.
struct Via {
  std::string proxy;             // fit to be shown; empty: none
  bool is_https = false;         // TLS is spoken with it, too
  bool is_socks = false;
  bool from_environment = false; // and not proxy=
};

// What was set that may be the reason.
struct AskedHow {
  std::string_view unix_socket = {}; // where connections went instead of the
                                     // URL's host, or empty
  bool only_http2 = false;      // the server was not asked whether it speaks it
  Via via = {};
  long connect_status = 0;  // what the proxy answered to CONNECT; 0: nothing
  bool certificate = false; // a client certificate was at hand
  int socket_error = 0;     // errno, where no socket could be opened; else 0
};

// CODE is a CURLcode, not CURLE_OK.  DETAIL is curl's error buffer, which may
// hold URLs with secrets and is redacted here.  REQUEST is request_text().
Error error_from_curl(int code, std::string_view detail, std::string_view request,
                      const AskedHow &how = {});

// An option of libcurl's, set with what config.h has found good, was not taken.
Error option_refused(int code);

// WHAT, a function of libcurl or of its callbacks, failed as it does only for
// want of memory.
Error no_memory(const char *what);

} // namespace httpcache

#endif
