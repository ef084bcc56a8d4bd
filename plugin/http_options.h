// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// http_options.h - how libcurl is told to ask: what each request has in common.
//
// Certificates, time limits, headers, the TLS sessions that all handles share;
// and who gets credentials: user, password and all headers that the user gave
// are sent to the origin (scheme, host, port) of the configured URL only.
//
// Threads: one at a time.  Must outlive the handles that were set up with it.
// Errors: LocalIo, for libcurl refuses none of this but for want of memory or
// because it was built without.
#ifndef HTTPCACHE_HTTP_OPTIONS_H
#define HTTPCACHE_HTTP_OPTIONS_H

#include <memory>
#include <string>

#include "config.h"
#include "error.h"
#include "http_errors.h"
#include "object.h"

namespace httpcache {

class HttpOptions {
public:
  static Result<std::unique_ptr<HttpOptions>> create(const Config &config);
  ~HttpOptions();
  HttpOptions(const HttpOptions &) = delete;

  const Config &config() const { return config_; }
  AskedHow asked_how() const {
    return {config_.unix_socket_path, config_.http_version == HttpVersion::V2PriorKnowledge};
  }

  // To EASY, a CURL*: all that stays the same from one request to the next.
  Result<void> set_up(void *easy) const;
  // And what does not: asks for RANGE of URL, with secrets only if it is of the
  // configured origin.
  Result<void> ask(void *easy, const std::string &url, ByteSpan range) const;

private:
  explicit HttpOptions(const Config &config) : config_(config) {}
  Result<void> allocate();
  static bool append(void *&list, const std::string &line);

  const Config config_;
  void *share_ = nullptr; // CURLSH
  // curl_slists: for the origin of the configured URL, and for others.
  void *header_list_ = nullptr, *bare_header_list_ = nullptr;
};

} // namespace httpcache

#endif
