// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "http_options.h"

#include <string_view>

#include <unistd.h>

#include <curl/curl.h>
#include <fmt/format.h>

#include "http_proxy.h"

namespace httpcache {

namespace {

// Of one connection's receive buffer.  libcurl hands over at most 16 KiB at a
// time whatever this is; more saves few system calls and costs memory for
// each connection.
constexpr long kReceiveBuffer = 128 << 10;

constexpr uint32_t kForever_s = 7 * 24 * 60 * 60;

CURLSH *as_share(void *p) { return static_cast<CURLSH *>(p); }
curl_slist *as_list(void *p) { return static_cast<curl_slist *>(p); }

long curl_version_of(HttpVersion version) {
  switch (version) {
  case HttpVersion::V1_0:
    return CURL_HTTP_VERSION_1_0;
  case HttpVersion::V1_1:
    return CURL_HTTP_VERSION_1_1;
  case HttpVersion::V2:
    return CURL_HTTP_VERSION_2TLS;
  case HttpVersion::V2PriorKnowledge:
    return CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
  case HttpVersion::V3:
    return CURL_HTTP_VERSION_3;
  case HttpVersion::V3Only:
    return CURL_HTTP_VERSION_3ONLY;
  }
  return CURL_HTTP_VERSION_1_1;
}

// Does this libcurl speak it?
Result<void> check_http_version(const Config &config) {
  if (config.http_version <= HttpVersion::V1_1)
    return {};
  const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
  auto error = [&](std::string_view why) {
    return Error{ErrorKind::Permanent, EINVAL, 0,
                 fmt::format("http-version={}: this libcurl, {}, {}",
                             http_version_name(config.http_version), curl->version, why),
                 {}};
  };
  if (config.http_version >= HttpVersion::V3) {
    if ((curl->features & CURL_VERSION_HTTP3) == 0)
      return error("was built without HTTP/3; use http-version=1.1 or 2.0");
    return {};
  }
  if ((curl->features & CURL_VERSION_HTTP2) == 0)
    return error("was built without HTTP/2; use http-version=1.1");
  // It fails all requests after the first (curl pull request 10643).
  if (config.http_version == HttpVersion::V2PriorKnowledge && curl->version_num < 0x080000 &&
      config.url.starts_with("http:"))
    return error("cannot use a connection twice with it; it wants 8.0 or https");
  return {};
}

// Both ends at once, as CURLOPT_SSLVERSION takes them.
long curl_tls_versions(TlsVersion least, TlsVersion most) {
  long low = CURL_SSLVERSION_DEFAULT, high = CURL_SSLVERSION_MAX_NONE;
  switch (least) {
  case TlsVersion::Any: break;
  case TlsVersion::V1_0: low = CURL_SSLVERSION_TLSv1_0; break;
  case TlsVersion::V1_1: low = CURL_SSLVERSION_TLSv1_1; break;
  case TlsVersion::V1_2: low = CURL_SSLVERSION_TLSv1_2; break;
  case TlsVersion::V1_3: low = CURL_SSLVERSION_TLSv1_3; break;
  }
  switch (most) {
  case TlsVersion::Any: break;
  case TlsVersion::V1_0: high = CURL_SSLVERSION_MAX_TLSv1_0; break;
  case TlsVersion::V1_1: high = CURL_SSLVERSION_MAX_TLSv1_1; break;
  case TlsVersion::V1_2: high = CURL_SSLVERSION_MAX_TLSv1_2; break;
  case TlsVersion::V1_3: high = CURL_SSLVERSION_MAX_TLSv1_3; break;
  }
  return low | high;
}

long curl_ip_version(IpVersion version) {
  switch (version) {
  case IpVersion::Any:
    return CURL_IPRESOLVE_WHATEVER;
  case IpVersion::V4:
    return CURL_IPRESOLVE_V4;
  case IpVersion::V6:
    return CURL_IPRESOLVE_V6;
  }
  return CURL_IPRESOLVE_WHATEVER;
}

bool has_default_ca_file() {
  const char *file = curl_version_info(CURLVERSION_NOW)->cainfo;
  return file != nullptr && access(file, R_OK) == 0;
}

} // namespace

Result<std::unique_ptr<HttpOptions>> HttpOptions::create(const Config &config) {
  if (Result<void> ok = check_http_version(config); !ok)
    return std::move(ok).error();
  if (Result<void> ok = check_proxy(config); !ok)
    return std::move(ok).error();
  std::unique_ptr<HttpOptions> options(new HttpOptions(config));
  if (Result<void> ok = options->allocate(); !ok)
    return std::move(ok).error();
  return options;
}

Result<void> HttpOptions::allocate() {
  // One TLS session cache for all handles, or each would do a full handshake.
  // One thread at a time uses it, so it needs no lock functions.
  share_ = curl_share_init();
  if (share_ == nullptr)
    return no_memory("curl_share_init");
  curl_share_setopt(as_share(share_), CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);

  for (const std::string &entry : config_.resolve) {
    curl_slist *longer = curl_slist_append(as_list(resolve_list_), entry.c_str());
    if (longer == nullptr)
      return no_memory("curl_slist_append");
    resolve_list_ = longer;
  }
  credentials_ = std::make_unique<HttpCredentials>(config_);
  Result<std::unique_ptr<HttpCookies>> cookies = HttpCookies::create(config_, share_);
  if (!cookies)
    return std::move(cookies).error();
  cookies_ = std::move(cookies).value();
  return {};
}

HttpOptions::~HttpOptions() {
  cookies_.reset(); // it uses the share
  if (share_ != nullptr)
    curl_share_cleanup(as_share(share_));
  curl_slist_free_all(as_list(resolve_list_));
}

AskedHow HttpOptions::asked_how(const std::string &url) const {
  AskedHow how;
  how.unix_socket = config_.unix_socket_path;
  how.only_http2 = config_.http_version == HttpVersion::V2PriorKnowledge;
  how.via = proxy_for(config_, url);
  how.certificate = !config_.sslcert.empty() && credentials_->trusted(url);
  return how;
}

Result<void> HttpOptions::set_up(void *easy) const {
  CURL *c = static_cast<CURL *>(easy);
  CURLcode first_failure = CURLE_OK;
  auto set = [&](CURLoption option, auto value) {
    CURLcode r = curl_easy_setopt(c, option, value);
    if (r != CURLE_OK && first_failure == CURLE_OK)
      first_failure = r;
  };
  set(CURLOPT_SHARE, as_share(share_));
  if (cookies_ != nullptr)
    set(CURLOPT_COOKIEFILE, ""); // reads none; without it the shared ones are not used
  set(CURLOPT_NOSIGNAL, 1L);
  // A name look-up is a thread of libcurl's; without this the end of a handle
  // waits for it, and with it the whole engine or nbdkit's exit: 14 s with a
  // name server that takes 15.  (The plugin is linked to stay mapped, for the
  // thread's sake.)
  set(CURLOPT_QUICK_EXIT, 1L);
  set(CURLOPT_BUFFERSIZE, kReceiveBuffer);
  set(CURLOPT_TCP_KEEPALIVE, config_.tcp_keepalive ? 1L : 0L);
  set(CURLOPT_TCP_NODELAY, config_.tcp_nodelay ? 1L : 0L);
  set(CURLOPT_IPRESOLVE, curl_ip_version(config_.ip_version));
  if (resolve_list_ != nullptr)
    set(CURLOPT_RESOLVE, as_list(resolve_list_));

  set(CURLOPT_PROTOCOLS_STR, config_.protocols.c_str());
  set(CURLOPT_HTTP_VERSION, curl_version_of(config_.http_version));
  set(CURLOPT_HTTP09_ALLOWED, 0L);
  // Said, for proxies compress unasked; and not as a header of ours, for those are
  // signed.  An encoded body is refused.
  set(CURLOPT_ACCEPT_ENCODING, "identity");
  set(CURLOPT_HTTP_CONTENT_DECODING, 0L);
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  // 0 would be libcurl's default of five minutes.
  uint32_t connect_s = config_.connect_timeout_s.value_or(config_.timeout_s);
  set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(connect_s > 0 ? connect_s : kForever_s));
  if (!config_.user_agent.empty())
    set(CURLOPT_USERAGENT, config_.user_agent.c_str());
  if (!config_.unix_socket_path.empty())
    set(CURLOPT_UNIX_SOCKET_PATH, config_.unix_socket_path.c_str());

  if (config_.tls_min != TlsVersion::Any || config_.tls_max != TlsVersion::Any)
    set(CURLOPT_SSLVERSION, curl_tls_versions(config_.tls_min, config_.tls_max));
  if (!config_.ssl_cipher_list.empty())
    set(CURLOPT_SSL_CIPHER_LIST, config_.ssl_cipher_list.c_str());
  if (!config_.tls13_ciphers.empty())
    set(CURLOPT_TLS13_CIPHERS, config_.tls13_ciphers.c_str());
  set(CURLOPT_SSL_VERIFYPEER, config_.sslverify ? 1L : 0L);
  set(CURLOPT_SSL_VERIFYHOST, config_.sslverify ? 2L : 0L);
  if (config_.cainfo)
    set(CURLOPT_CAINFO, config_.cainfo->empty() ? nullptr : config_.cainfo->c_str());
  // Beside a file of CAs, a folder of them only keeps libcurl from parsing the
  // file once and not for every connection (28 ms each time with Debian's); and
  // who names a CA file means no others.
  if (config_.capath)
    set(CURLOPT_CAPATH, config_.capath->empty() ? nullptr : config_.capath->c_str());
  else if (config_.cainfo ? !config_.cainfo->empty() : has_default_ca_file())
    set(CURLOPT_CAPATH, static_cast<const char *>(nullptr));

  if (first_failure != CURLE_OK)
    return option_refused(first_failure);
  return set_up_proxy(easy, config_);
}

bool HttpOptions::must_wait(const std::string &url, TimePoint now) const {
  return !renewal().names().empty() && credentials_->trusted(url) && !renewal().current(now);
}

Result<HttpCredentials::Told> HttpOptions::ask(void *easy, const HttpRequest &request) const {
  std::string range = fmt::format("{}-{}", request.range.first, request.range.last);
  if (curl_easy_setopt(static_cast<CURL *>(easy), CURLOPT_RANGE, range.c_str()) != CURLE_OK)
    return no_memory("curl_easy_setopt");
  return credentials_->give(easy, request.url, request.past_caches);
}

} // namespace httpcache
