// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// http_options.h - how libcurl is told to ask: what each request has in common.
//
// Certificates to trust, time limits, the proxy, the TLS sessions and cookies
// that all handles share.  Who gets credentials is in http_credentials.h.
//
// Threads: one at a time.  Must outlive the handles that were set up with it.
// Errors: LocalIo, for libcurl refuses none of this but for want of memory or
// because it was built without; create() also has Permanent ones, of what this
// libcurl cannot do.
#ifndef HTTPCACHE_HTTP_OPTIONS_H
#define HTTPCACHE_HTTP_OPTIONS_H

#include <memory>
#include <string>

#include "clock.h"
#include "config.h"
#include "error.h"
#include "http_cookies.h"
#include "http_credentials.h"
#include "http_errors.h"
#include "object.h"
#include "renewal.h"

namespace httpcache {

// Asks for RANGE of URL.
struct HttpRequest {
  std::string url;
  std::string configured = ""; // the URL that leads there, for messages; empty: `url`
  ByteSpan range;
  bool follow_redirects = true; // else one is an answer like any other
  bool past_caches = false;     // no cache on the way may answer from what it holds
};

class HttpOptions {
public:
  static Result<std::unique_ptr<HttpOptions>> create(const Config &config);
  ~HttpOptions();
  HttpOptions(const HttpOptions &) = delete;

  const Config &config() const { return config_; }
  // How URL was asked, for messages; connect_status is the asker's to fill in.
  AskedHow asked_how(const std::string &url) const;

  // To EASY, a CURL*: all that stays the same from one request to the next.
  Result<void> set_up(void *easy) const;
  // And what does not: REQUEST, with secrets only if its URL is of the configured
  // origin.  What is returned must be kept until EASY asks again.
  Result<HttpCredentials::Told> ask(void *easy, const HttpRequest &request) const;

  // Is URL of the configured origin, and so gets its credentials?
  bool trusted(const std::string &url) const { return credentials_->trusted(url); }
  // Does a request for URL have to wait until a script has run?
  bool must_wait(const std::string &url, TimePoint now) const;
  Renewal &renewal() const { return credentials_->renewal(); }

private:
  explicit HttpOptions(const Config &config) : config_(config) {}
  Result<void> allocate();

  const Config config_;
  void *share_ = nullptr;        // CURLSH
  void *resolve_list_ = nullptr; // curl_slist
  std::unique_ptr<HttpCredentials> credentials_;
  std::unique_ptr<HttpCookies> cookies_; // null: off
};

} // namespace httpcache

#endif
