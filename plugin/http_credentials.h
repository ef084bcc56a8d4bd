// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// http_credentials.h - who gets which credentials.
//
// For the scheme, host and port of the configured URL, and for nobody that it
// redirects to, are: user and password, bearer token, AWS signatures, `cookie`,
// all headers that the user gave, what scripts print (renewal.h), and the client's
// certificate.  A login of
// netrc= goes to the host that it names there, over any port, but not in clear
// when the configured URL is https; netrc's `default` is for the configured
// URL alone.
//
// Headers to get past caches are no secret and go to whoever is asked; they are here
// because libcurl takes all headers as one list.  So is the Host of others, once the user
// has given one for the configured URL: libcurl takes from it whose cookies to send, and
// a handle remembers it until it is told another.
//
// Threads: one at a time.  Must outlive the handles that it was given to.
// Errors: LocalIo, for want of memory or of the feature in libcurl.
#ifndef HTTPCACHE_HTTP_CREDENTIALS_H
#define HTTPCACHE_HTTP_CREDENTIALS_H

#include <cstdint>
#include <memory>
#include <string>

#include "config.h"
#include "error.h"
#include "renewal.h"

namespace httpcache {

class HttpCredentials {
public:
  explicit HttpCredentials(const Config &config) : config_(config), renewal_(config) {}
  HttpCredentials(const HttpCredentials &) = delete;

  // Is URL of the configured origin?
  bool trusted(const std::string &url) const;

  // What a handle was told, which libcurl makes no copy of.
  struct Told {
    std::shared_ptr<void> headers;                // curl_slist
    std::shared_ptr<const Renewal::Given> script; // null: nothing that scripts print
  };

  // Tells EASY, a CURL*, the credentials for URL and no others, and URL itself,
  // in the form that is signed.  Keep what is returned until EASY is told again.
  Result<Told> give(void *easy, const std::string &url, bool past_caches);

  Renewal &renewal() { return renewal_; }

private:
  Result<std::shared_ptr<void>> headers_with(const Renewal::Given &script,
                                             bool past_caches) const;
  Result<std::shared_ptr<void>> headers_of_others(const std::string &url, bool past_caches) const;
  bool host_given(const Renewal::Given &script) const;
  const Netrc::Entry *login_of_netrc(const std::string &url, bool trusted) const;

  const Config &config_;
  Renewal renewal_;
  Told current_; // for the configured origin, when caches may answer
  bool host_was_given_ = false; // a Host header, since the start
};

} // namespace httpcache

#endif
