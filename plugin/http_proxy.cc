// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "http_proxy.h"

#include <utility>

#include <curl/curl.h>
#include <fmt/format.h>

#include "redact.h"
#include "url.h"

namespace httpcache {

Result<void> check_proxy(const Config &config) {
  const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
  if (config.proxy && config.proxy->starts_with("https:") &&
      (curl->features & CURL_VERSION_HTTPS_PROXY) == 0)
    return Error{ErrorKind::Permanent, EINVAL, 0,
                 fmt::format("proxy={}: this libcurl, {}, was built without https proxies",
                             redact_url(*config.proxy), curl->version),
                 {}};
  return {};
}

Result<void> set_up_proxy(void *easy, const Config &config) {
  CURL *c = static_cast<CURL *>(easy);
  CURLcode first_failure = CURLE_OK;
  auto set = [&](CURLoption option, const std::string &text) {
    CURLcode r = curl_easy_setopt(c, option, text.c_str());
    if (r != CURLE_OK && first_failure == CURLE_OK)
      first_failure = r;
  };
  if (config.proxy)
    set(CURLOPT_PROXY, *config.proxy);
  if (!config.proxy_user.empty()) {
    set(CURLOPT_PROXYUSERNAME, config.proxy_user);
    set(CURLOPT_PROXYPASSWORD, config.proxy_password);
  }
  auto set_or_none = [&](CURLoption option, const std::optional<std::string> &text) {
    if (!text)
      return;
    CURLcode r = curl_easy_setopt(c, option, text->empty() ? nullptr : text->c_str());
    if (r != CURLE_OK && first_failure == CURLE_OK)
      first_failure = r;
  };
  set_or_none(CURLOPT_PROXY_CAINFO, config.proxy_cainfo);
  set_or_none(CURLOPT_PROXY_CAPATH, config.proxy_capath);
  // Who names a CA file means no others (http_options.cc).
  if (config.proxy_cainfo && !config.proxy_cainfo->empty() && !config.proxy_capath)
    curl_easy_setopt(c, CURLOPT_PROXY_CAPATH, static_cast<const char *>(nullptr));
  if (first_failure != CURLE_OK)
    return option_refused(first_failure);
  return {};
}

Via proxy_for(const Config &config, std::string_view url) {
  if (!config.unix_socket_path.empty())
    return {};
  std::string text =
      config.proxy ? *config.proxy : environment_proxy(url.substr(0, url.find(':')));
  if (text.empty())
    return {};
  Result<ProxyUrl> proxy = parse_proxy(text);
  if (!proxy)
    return {};
  Via via;
  via.proxy = redact_url(proxy.value().request);
  via.is_https = proxy.value().request.starts_with("https:");
  via.is_socks = proxy.value().request.starts_with("socks");
  via.from_environment = !config.proxy.has_value();
  return via;
}

} // namespace httpcache
