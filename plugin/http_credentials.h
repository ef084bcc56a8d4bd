// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// http_credentials.h - who gets which credentials.
//
// For the scheme, host and port of the configured URL, and for nobody that it
// redirects to, are: user and password, bearer token, AWS signatures, `cookie`,
// all headers that the user gave, and the client's certificate.  A login of
// netrc= goes to the host that it names there, over any port, but not in clear
// when the configured URL is https; netrc's `default` is for the configured
// URL alone.
//
// Headers to get past caches are no secret and go to whoever is asked; they are here
// because libcurl takes all headers as one list.
//
// Threads: one at a time.  Must outlive the handles that it was given to.
// Errors: LocalIo, for want of memory or of the feature in libcurl.
#ifndef HTTPCACHE_HTTP_CREDENTIALS_H
#define HTTPCACHE_HTTP_CREDENTIALS_H

#include <memory>
#include <string>

#include "config.h"
#include "error.h"

namespace httpcache {

class HttpCredentials {
public:
  static Result<std::unique_ptr<HttpCredentials>> create(const Config &config);
  ~HttpCredentials();
  HttpCredentials(const HttpCredentials &) = delete;

  // Is URL of the configured origin?
  bool trusted(const std::string &url) const;

  // Tells EASY, a CURL*, the credentials for URL and no others, and URL itself,
  // in the form that is signed.
  Result<void> give(void *easy, const std::string &url, bool past_caches) const;

private:
  explicit HttpCredentials(const Config &config) : config_(config) {}
  Result<void> allocate();
  const Netrc::Entry *login_of_netrc(const std::string &url, bool trusted) const;

  const Config &config_;
  void *header_list_ = nullptr; // curl_slist
  // Also curl_slists: those with what gets past caches, and that alone.
  void *past_caches_list_ = nullptr, *only_past_caches_list_ = nullptr;
};

} // namespace httpcache

#endif
