// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "http_credentials.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include <curl/curl.h>
#include <fmt/format.h>

#include "ascii.h"
#include "http_errors.h"
#include "url.h"

namespace httpcache {

namespace {

curl_slist *as_list(void *p) { return static_cast<curl_slist *>(p); }

// SHA-256 of no bytes: the body of a GET.
constexpr std::string_view kHashOfNothing =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == text.npos)
      return parts;
    text.remove_prefix(end + 1);
  }
}

// S3 wants the hash of the body in a header too, which not every libcurl adds.
// Empty: no S3.
std::string hash_header(const Config &config) {
  if (config.aws_sigv4.empty())
    return "";
  std::vector<std::string_view> spec = split(config.aws_sigv4, ':');
  // Without a service libcurl takes it from the host: s3.us-east-1.amazonaws.com
  bool s3 = spec.size() > 3 ? spec[3] == "s3" : host_of(config.url).starts_with("s3.");
  std::string_view provider = spec.size() > 1 ? spec[1] : spec[0];
  return s3 ? fmt::format("x-{}-content-sha256: {}", provider, kHashOfNothing) : "";
}

// With these a cache asks the server, an old one by the second.
constexpr std::string_view kPastCaches[] = {"Cache-Control: no-cache", "Pragma: no-cache"};

std::string_view name_of(std::string_view line) { return line.substr(0, line.find_first_of(":;")); }

bool has_name_of(const std::vector<std::string> &lines, std::string_view line) {
  return std::any_of(lines.begin(), lines.end(), [&](const std::string &other) {
    return equal_nocase(name_of(other), name_of(line));
  });
}

Result<std::shared_ptr<void>> make_list(const std::vector<std::string> &lines) {
  curl_slist *list = nullptr;
  for (const std::string &line : lines) {
    curl_slist *longer = curl_slist_append(list, line.c_str());
    if (longer == nullptr) {
      curl_slist_free_all(list);
      return no_memory("curl_slist_append");
    }
    list = longer;
  }
  return std::shared_ptr<void>(list, [](void *p) { curl_slist_free_all(as_list(p)); });
}

} // namespace

Result<std::shared_ptr<void>>
HttpCredentials::headers_with(const Renewal::Given &script, bool past_caches) const {
  std::vector<std::string> lines = config_.headers;
  if (std::string line = hash_header(config_); !line.empty())
    lines.push_back(line);
  lines.insert(lines.end(), script.headers.begin(), script.headers.end());
  if (past_caches)
    for (std::string_view line : kPastCaches)
      if (!has_name_of(lines, line)) // else the user knows better
        lines.emplace_back(line);
  return make_list(lines);
}

Result<std::shared_ptr<void>> HttpCredentials::headers_of_others(const std::string &url,
                                                                 bool past_caches) const {
  std::vector<std::string> lines;
  if (host_was_given_)
    lines.push_back(fmt::format("Host: {}", authority_of(url)));
  if (past_caches)
    lines.insert(lines.end(), std::begin(kPastCaches), std::end(kPastCaches));
  return make_list(lines);
}

bool HttpCredentials::host_given(const Renewal::Given &script) const {
  return has_name_of(config_.headers, "Host") || has_name_of(script.headers, "Host");
}

bool HttpCredentials::trusted(const std::string &url) const {
  return same_origin(url, config_.url);
}

const Netrc::Entry *HttpCredentials::login_of_netrc(const std::string &url, bool trusted) const {
  if (!config_.netrc || (config_.url.starts_with("https:") && !url.starts_with("https:")))
    return nullptr;
  const Netrc::Entry *entry = config_.netrc->find(host_of(url), trusted);
  return entry != nullptr && !entry->login.empty() ? entry : nullptr;
}

Result<HttpCredentials::Told> HttpCredentials::give(void *easy, const std::string &url,
                                                    bool past_caches) {
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
  bool sign = to_origin && !config_.aws_sigv4.empty();
  bool bearer = to_origin && !config_.bearer_token.empty();
  const Netrc::Entry *entry = login_of_netrc(url, to_origin);
  if (to_origin && current_.script != renewal_.given()) {
    Result<std::shared_ptr<void>> headers = headers_with(*renewal_.given(), false);
    if (!headers)
      return std::move(headers).error();
    current_ = {std::move(headers).value(), renewal_.given()};
    host_was_given_ = host_was_given_ || host_given(*renewal_.given());
  }
  Told told = to_origin ? current_ : Told();
  if (past_caches || !to_origin) {
    Result<std::shared_ptr<void>> headers =
        to_origin ? headers_with(*told.script, true) : headers_of_others(url, past_caches);
    if (!headers)
      return std::move(headers).error();
    told.headers = std::move(headers).value();
  }

  set(CURLOPT_URL, (sign ? canonical_for_signing(url) : url).c_str());
  bool nameless = to_origin && config_.user.empty() && !config_.password.empty();
  set(CURLOPT_USERNAME, entry != nullptr ? entry->login.c_str()
                        : nameless       ? ""
                                         : secret(config_.user));
  set(CURLOPT_PASSWORD, entry != nullptr ? entry->password.c_str() : secret(config_.password));
  set(CURLOPT_XOAUTH2_BEARER, secret(config_.bearer_token));
  if (!config_.aws_sigv4.empty())
    set(CURLOPT_AWS_SIGV4, secret(config_.aws_sigv4));
  set(CURLOPT_HTTPAUTH, static_cast<long>(sign     ? CURLAUTH_AWS_SIGV4
                                          : bearer ? CURLAUTH_BEARER
                                                   : CURLAUTH_BASIC));
  std::string cookies = config_.cookie;
  if (to_origin && !told.script->cookie.empty())
    cookies += (cookies.empty() ? "" : "; ") + told.script->cookie;
  set(CURLOPT_COOKIE, secret(cookies));
  set(CURLOPT_HTTPHEADER, as_list(told.headers.get()));
  if (!config_.sslcert.empty()) {
    set(CURLOPT_SSLCERT, secret(config_.sslcert));
    set(CURLOPT_SSLKEY, secret(config_.sslkey));
    // Empty, not null: then OpenSSL would ask on the terminal.
    set(CURLOPT_KEYPASSWD, config_.sslkey_password.c_str());
  }
  if (first_failure != CURLE_OK)
    return option_refused(first_failure);
  return told;
}

} // namespace httpcache
