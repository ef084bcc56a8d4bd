// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// http_cookies.h - the cookies that servers set, for all handles together.
//
// cookiefile= and cookiejar= turn this on; a fixed `cookie` needs none of it.
// The cookies are in libcurl's share, so that what one connection is told all
// send, and libcurl decides to which host each goes.  One of a file that names no
// host is taken to be of the configured URL's, and of no subdomain's; libcurl would send
// it elsewhere.
//
// The jar is written once, at the end, aside and by rename, for its owner only; and not
// at all if it, or the file, could not be read: it may be anything.
//
// Threads: one at a time.  The share must outlive it, and it the handles.
// Errors: LocalIo, and Permanent for a file that cannot be read.  That the jar
// cannot be written is a warning: there is nobody left to be told otherwise.
#ifndef HTTPCACHE_HTTP_COOKIES_H
#define HTTPCACHE_HTTP_COOKIES_H

#include <memory>
#include <string>
#include <vector>

#include "config.h"
#include "error.h"

namespace httpcache {

class HttpCookies {
public:
  // SHARE is a CURLSH.  Null if cookies are off.
  static Result<std::unique_ptr<HttpCookies>> create(const Config &config, void *share);
  // Writes the jar.
  ~HttpCookies();
  HttpCookies(const HttpCookies &) = delete;

private:
  explicit HttpCookies(const Config &config) : jar_(config.cookiejar) {}
  Result<void> load(const Config &config, void *share);
  std::vector<std::string> lines() const;
  std::string write_jar() const;

  const std::string jar_;
  bool loaded_ = false;
  void *easy_ = nullptr; // CURL: asks nothing, only holds on to the share
};

} // namespace httpcache

#endif
