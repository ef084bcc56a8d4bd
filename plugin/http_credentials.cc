// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "http_credentials.h"

#include <curl/curl.h>

#include "http_errors.h"
#include "url.h"

namespace httpcache {

namespace {

curl_slist *as_list(void *p) { return static_cast<curl_slist *>(p); }

} // namespace

Result<std::unique_ptr<HttpCredentials>> HttpCredentials::create(const Config &config) {
  std::unique_ptr<HttpCredentials> credentials(new HttpCredentials(config));
  if (Result<void> ok = credentials->allocate(); !ok)
    return std::move(ok).error();
  return credentials;
}

Result<void> HttpCredentials::allocate() {
  for (const std::string &line : config_.headers) {
    curl_slist *longer = curl_slist_append(as_list(header_list_), line.c_str());
    if (longer == nullptr)
      return no_memory("curl_slist_append");
    header_list_ = longer;
  }
  return {};
}

HttpCredentials::~HttpCredentials() { curl_slist_free_all(as_list(header_list_)); }

bool HttpCredentials::trusted(const std::string &url) const {
  return same_origin(url, config_.url);
}

Result<void> HttpCredentials::give(void *easy, const std::string &url) const {
  CURL *c = static_cast<CURL *>(easy);
  CURLcode first_failure = CURLE_OK;
  auto set = [&](CURLoption option, auto value) {
    CURLcode r = curl_easy_setopt(c, option, value);
    if (r != CURLE_OK && first_failure == CURLE_OK)
      first_failure = r;
  };
  bool to_origin = trusted(url);
  auto secret = [&](const std::string &text) {
    return to_origin && !text.empty() ? text.c_str() : nullptr;
  };
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_USERNAME, secret(config_.user));
  set(CURLOPT_PASSWORD, secret(config_.password));
  set(CURLOPT_HTTPHEADER, to_origin ? as_list(header_list_) : nullptr);
  if (!config_.sslcert.empty()) {
    set(CURLOPT_SSLCERT, secret(config_.sslcert));
    set(CURLOPT_SSLKEY, secret(config_.sslkey));
    // Empty, not null: then OpenSSL would ask on the terminal.
    set(CURLOPT_KEYPASSWD, config_.sslkey_password.c_str());
  }
  if (first_failure != CURLE_OK)
    return option_refused(first_failure);
  return {};
}

} // namespace httpcache
