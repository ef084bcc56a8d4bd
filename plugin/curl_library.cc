// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "curl_library.h"

#include <curl/curl.h>
#include <fmt/format.h>

namespace httpcache {

Result<void> curl_library_start() {
  CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK)
    return Error{ErrorKind::LocalIo, ENOMEM, 0,
                 fmt::format("libcurl does not start: {}", curl_easy_strerror(code)), {}};
  return {};
}

void curl_library_end() { curl_global_cleanup(); }

std::string curl_library_dump() {
  const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
  std::string out = fmt::format("curl_version={}\ncurl_dynamic_version={}\n", LIBCURL_VERSION,
                                info->version);
  if (info->ssl_version != nullptr)
    out += fmt::format("curl_ssl_version={}\n", info->ssl_version);
  for (const char *const *p = info->protocols; *p != nullptr; ++p)
    if (std::string_view(*p) == "http" || std::string_view(*p) == "https")
      out += fmt::format("curl_protocol_{}=yes\n", *p);
  struct Feature {
    const char *name;
    int bit;
  };
  constexpr Feature kFeatures[] = {
      {"http2", CURL_VERSION_HTTP2},       {"http3", CURL_VERSION_HTTP3},
      {"ipv6", CURL_VERSION_IPV6},         {"idn", CURL_VERSION_IDN},
      {"ssl", CURL_VERSION_SSL},           {"asynchdns", CURL_VERSION_ASYNCHDNS},
      {"https_proxy", CURL_VERSION_HTTPS_PROXY},
      {"unix_sockets", CURL_VERSION_UNIX_SOCKETS},
  };
  for (const Feature &feature : kFeatures)
    out += fmt::format("curl_feature_{}={}\n", feature.name,
                       (info->features & feature.bit) != 0 ? "yes" : "no");
  return out;
}

} // namespace httpcache
