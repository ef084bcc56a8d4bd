// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// curl_library.h - libcurl as a whole: set up, taken down, described.
//
// Threads: nbdkit's main thread; curl_library_start() before everything of
// libcurl, curl_library_end() after everything.
#ifndef HTTPCACHE_CURL_LIBRARY_H
#define HTTPCACHE_CURL_LIBRARY_H

#include <string>

#include "error.h"

namespace httpcache {

Result<void> curl_library_start();
void curl_library_end();

// Lines "curl_version=8.1.2\n...": versions, TLS library, protocols, features
// that matter here.  For --dump-plugin; the keys are nbdkit-curl-plugin's where
// it has them.
std::string curl_library_dump();

} // namespace httpcache

#endif
