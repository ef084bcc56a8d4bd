// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// parameters.cc - the table of config.h: what each key takes and what it sets.

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "ascii.h"
#include "config.h"
#include "config_values.h"
#include "parameters.h"
#include "redact.h"
#include "url.h"

namespace httpcache {

namespace {

// --- Setters, one for each key; others are in parameters_*.cc ---------------

Result<void> set_url(ConfigDraft &draft, const char *value) {
  Result<Url> url = parse_url(value);
  if (!url)
    return std::move(url).error();
  Url &parsed = url.value();
  register_query(parsed.query);
  draft.config.url = std::move(parsed.request);
  draft.config.url_as_given = value;
  draft.url_user = std::move(parsed.user);
  draft.url_password = std::move(parsed.password);
  return {};
}

Result<void> set_offset(ConfigDraft &draft, const char *value) {
  Result<uint64_t> size = parse_size("offset", value);
  if (!size)
    return std::move(size).error();
  draft.config.offset = size.value();
  return {};
}

Result<void> set_size(ConfigDraft &draft, const char *value) {
  Result<uint64_t> size = parse_size("size", value);
  if (!size)
    return std::move(size).error();
  if (size.value() == 0)
    return bad_value("size", value,
                     "an export of no bytes is of no use; leave size out to "
                     "serve all up to the end of the file");
  draft.config.size = size.value();
  return {};
}

Result<void> set_blocksize(ConfigDraft &draft, const char *value) {
  Result<uint64_t> size = parse_size("blocksize", value);
  if (!size)
    return std::move(size).error();
  uint64_t bytes = size.value();
  std::string nearest;
  if (bytes < kMinBlockSize)
    nearest = "the nearest is " + human_size(kMinBlockSize);
  else if (bytes > kMaxBlockSize)
    nearest = "the nearest is " + human_size(kMaxBlockSize);
  else if (!std::has_single_bit(bytes))
    nearest = fmt::format("the nearest are {} and {}",
                          human_size(std::bit_floor(bytes)),
                          human_size(std::bit_ceil(bytes)));
  if (!nearest.empty())
    return bad_value("blocksize", value,
                     fmt::format("must be a power of two from {} to {}; {}",
                                 human_size(kMinBlockSize),
                                 human_size(kMaxBlockSize), nearest));
  draft.config.blocksize = static_cast<uint32_t>(bytes);
  return {};
}

Result<void> set_cache_blocks(ConfigDraft &draft, const char *value) {
  Result<uint64_t> number =
      parse_number("cache-blocks", value, kMinCacheBlocks,
                   std::numeric_limits<uint64_t>::max(), "blocks");
  if (!number) {
    number.error().what +=
        " (one to be read from while another arrives), such as 512";
    return std::move(number).error();
  }
  draft.config.cache_blocks = number.value();
  return {};
}

Result<void> set_readahead(ConfigDraft &draft, const char *value) {
  if (std::string_view(value) == "auto") {
    draft.config.readahead.reset();
    return {};
  }
  Result<uint64_t> size = parse_size("readahead", value);
  if (!size) {
    size.error().what += "; 0 for none, or auto";
    return std::move(size).error();
  }
  draft.config.readahead = size.value();
  return {};
}

Result<void> set_connections(ConfigDraft &draft, const char *value) {
  Result<uint64_t> number =
      parse_number("connections", value, 1, kMaxConnections, "connections");
  if (!number)
    return std::move(number).error();
  draft.config.connections = static_cast<unsigned>(number.value());
  return {};
}

// The names are nbdkit-curl-plugin's.  "none" is libcurl's own choice, 2TLS; 2.0 differs
// from that in one thing: in clear it asks servers to upgrade, which RFC 9113 has dropped.
Result<void> set_http_version(ConfigDraft &draft, const char *value) {
  struct Named {
    std::string_view name;
    HttpVersion version;
  };
  static constexpr Named kNames[] = {
      {"none", HttpVersion::V2},
      {"1.0", HttpVersion::V1_0},
      {"1.1", HttpVersion::V1_1},
      {"2.0", HttpVersion::V2},
      {"2TLS", HttpVersion::V2},
      {"2-prior-knowledge", HttpVersion::V2PriorKnowledge},
      {"3", HttpVersion::V3},
      {"3only", HttpVersion::V3Only},
  };
  for (const Named &named : kNames)
    if (named.name == value) {
      draft.config.http_version = named.version;
      return {};
    }
  return bad_value("http-version", value,
                   "must be none, 1.0, 1.1, 2.0, 2TLS, 2-prior-knowledge, 3 or 3only");
}

Result<void> set_timeout(ConfigDraft &draft, const char *value) {
  Result<uint64_t> number =
      parse_number("timeout", value, 0, kMaxTimeoutS, "seconds");
  if (!number) {
    number.error().what += "; 0 waits for ever";
    return std::move(number).error();
  }
  draft.config.timeout_s = static_cast<uint32_t>(number.value());
  return {};
}

Result<void> set_connect_timeout(ConfigDraft &draft, const char *value) {
  Result<uint64_t> number = parse_number("connect-timeout", value, 0, kMaxTimeoutS, "seconds");
  if (!number) {
    number.error().what += "; 0 waits for ever";
    return std::move(number).error();
  }
  draft.config.connect_timeout_s = static_cast<uint32_t>(number.value());
  return {};
}

Result<void> set_retries(ConfigDraft &draft, const char *value) {
  Result<uint64_t> number = parse_number("retries", value, 0, kMaxRetries, "retries");
  if (!number)
    return std::move(number).error();
  draft.config.retries = static_cast<unsigned>(number.value());
  return {};
}

Result<void> set_retry_delay(ConfigDraft &draft, const char *value) {
  Result<uint64_t> ms = parse_seconds("retry-delay", value, kMaxRetryDelayMs);
  if (!ms)
    return std::move(ms).error();
  draft.config.retry_delay_ms = static_cast<uint32_t>(ms.value());
  return {};
}

Result<void> set_retry_max_time(ConfigDraft &draft, const char *value) {
  Result<uint64_t> number = parse_number("retry-max-time", value, 0, kMaxTimeoutS, "seconds");
  if (!number) {
    number.error().what += "; 0 tries as long as retries= says";
    return std::move(number).error();
  }
  draft.config.retry_max_time_s = static_cast<uint32_t>(number.value());
  return {};
}

// nbdkit-curl-plugin takes any of libcurl's; ranges are http's alone.
Result<void> set_protocols(ConfigDraft &draft, const char *value) {
  std::string text = to_lower(value);
  bool has_http = protocol_allowed(text, "http"), has_https = protocol_allowed(text, "https");
  std::string understood = has_http && has_https ? kDefaultProtocols : has_http ? "http" : "https";
  if (text.size() != understood.size() || (!has_http && !has_https))
    return bad_value("protocols", value, "must be http, https or http,https");
  draft.config.protocols = std::move(understood);
  return {};
}

Result<void> set_followlocation(ConfigDraft &draft, const char *value) {
  Result<bool> boolean = parse_bool("followlocation", value);
  if (!boolean)
    return std::move(boolean).error();
  draft.config.follow_location = boolean.value();
  return {};
}

Result<void> set_ignore_etag(ConfigDraft &draft, const char *value) {
  Result<bool> boolean = parse_bool("ignore-etag", value);
  if (!boolean)
    return std::move(boolean).error();
  draft.config.ignore_etag = boolean.value();
  return {};
}

Result<void> set_insecure_redirects(ConfigDraft &draft, const char *value) {
  Result<bool> boolean = parse_bool("insecure-redirects", value);
  if (!boolean)
    return std::move(boolean).error();
  draft.config.insecure_redirects = boolean.value();
  return {};
}

Result<void> set_user_agent(ConfigDraft &draft, const char *value) {
  if (has_control(value))
    return bad_value("user-agent", value,
                     "may not hold line ends or other control characters");
  draft.config.user_agent = value;
  return {};
}

// --- The table --------------------------------------------------------------

constexpr std::array kParameters = {
    Parameter{"aws-sigv4", "SPEC", nullptr,
              "Sign requests, as \"aws:amz:REGION:s3\".", false, set_aws_sigv4},
    Parameter{"bearer-token", "TOKEN|+FILE|-|-FD", nullptr,
              "OAuth 2.0 token for the server.", false, set_bearer_token},
    Parameter{"blocksize", "SIZE", "262144",
              "Unit of caching and requests: power of two, 4K to 32M.",
              false, set_blocksize},
    Parameter{"cache-blocks", "N", "512",
              "Blocks of memory in all; of other sizes, as make 128M.",
              false, set_cache_blocks},
    Parameter{"cainfo", "FILE", nullptr,
              "Certificates of the CAs to trust; empty for none.", false,
              set_cainfo},
    Parameter{"capath", "DIR", nullptr,
              "Folder of such certificates; empty for none.", false,
              set_capath},
    Parameter{"connect-timeout", "SECONDS", nullptr,
              "Longest time to make a connection, if not timeout.", false,
              set_connect_timeout},
    Parameter{"connections", "N", "16",
              "Most connections to the server at a time, 1 to 256.", false,
              set_connections},
    Parameter{"cookie", "COOKIES|+FILE|-|-FD", nullptr,
              "Cookies to send: \"NAME=VALUE; NAME=VALUE\".", false, set_cookie},
    Parameter{"cookie-script", "SCRIPT", nullptr,
              "Shell command that prints such a line.", false, set_cookie_script},
    Parameter{"cookie-script-renew", "SECONDS", "0",
              "Run it again when that is older; 0: only when refused.", false,
              set_cookie_script_renew},
    Parameter{"cookiefile", "FILE", nullptr,
              "Read cookies there, keep the server's; empty for none.", false, set_cookiefile},
    Parameter{"cookiejar", "FILE", nullptr,
              "The same, and write them there at the end.", false, set_cookiejar},
    Parameter{"followlocation", "BOOL", "true",
              "Whether redirects are followed.", false, set_followlocation},
    Parameter{"header", "'NAME: VALUE'|+FILE", nullptr,
              "Header to send, or a file of them.", true, set_header},
    Parameter{"header-script", "SCRIPT", nullptr,
              "Shell command that prints headers, one a line.", false, set_header_script},
    Parameter{"header-script-renew", "SECONDS", "0",
              "Run it again when older; 0: only when refused.", false,
              set_header_script_renew},
    Parameter{"http-version", "VERSION", "1.1",
              "Of HTTP: 1.1, 2.0, 2TLS or 2-prior-knowledge.", false,
              set_http_version},
    Parameter{"ignore-etag", "BOOL", "false",
              "Tell a changed file by size and Last-Modified alone.", false,
              set_ignore_etag},
    Parameter{"insecure-redirects", "BOOL", "false",
              "Whether those from https to http are, too.", false,
              set_insecure_redirects},
    Parameter{"ipresolve", "any|v4|v6", "any",
              "Which IP addresses to connect to.", false, set_ipresolve},
    Parameter{"mirror", "URL", nullptr,
              "Another URL of the same file, to be read as well.", true, set_mirror},
    Parameter{"netrc", "BOOL|FILE", "false",
              "Look for logins in ~/.netrc, or FILE.", false, set_netrc},
    Parameter{"offset", "SIZE", "0",
              "Byte of the file at which the disk image begins.", false,
              set_offset},
    Parameter{"password", "PASSWORD|+FILE|-|-FD", nullptr, "Password for user.",
              false, set_password},
    Parameter{"protocols", "LIST", kDefaultProtocols,
              "Which may be used, also after redirects.", false, set_protocols},
    Parameter{"proxy", "[SCHEME://]HOST:PORT", nullptr,
              "Proxy to go through; empty for none.", false, set_proxy},
    Parameter{"proxy-cainfo", "FILE", nullptr,
              "As cainfo, for an https proxy.", false, set_proxy_cainfo},
    Parameter{"proxy-capath", "DIR", nullptr,
              "As capath, for an https proxy.", false, set_proxy_capath},
    Parameter{"proxy-password", "PASSWORD|+FILE|-|-FD", nullptr,
              "Password for proxy-user.", false, set_proxy_password},
    Parameter{"proxy-user", "USER", nullptr,
              "User name for the proxy.", false, set_proxy_user},
    Parameter{"readahead", "SIZE|auto|0", "auto",
              "Most bytes to fetch ahead of a stream; 0 for none.",
              false, set_readahead},
    Parameter{"resolve", "HOST:PORT:ADDRESS", nullptr,
              "Connect to ADDRESS for this host and port.", true, set_resolve},
    Parameter{"retries", "N", "30",
              "Further attempts after a failure that may pass.", false, set_retries},
    Parameter{"retry-delay", "SECONDS", "0.25",
              "Wait before the first of them; doubles, up to 10.", false,
              set_retry_delay},
    Parameter{"retry-max-time", "SECONDS", "120",
              "After so long no more of them; 0 for no limit.", false,
              set_retry_max_time},
    Parameter{"size", "SIZE", nullptr,
              "Of the disk image, if not all to the end of the file.",
              false, set_size},
    Parameter{"ssl-cipher-list", "LIST", nullptr,
              "Ciphers for TLS up to 1.2, with ':' between.", false, set_ssl_cipher_list},
    Parameter{"ssl-version", "VERSION", "default",
              "Least version of TLS (tlsv1.2), or most (max-tlsv1.2).", false, set_ssl_version},
    Parameter{"sslcert", "FILE", nullptr,
              "Certificate (PEM) to show to the server.", false, set_sslcert},
    Parameter{"sslkey", "FILE", nullptr,
              "Its private key, if that is in another file.", false, set_sslkey},
    Parameter{"sslkey-password", "PASSWORD|+FILE|-|-FD", nullptr,
              "Password of the private key.", false, set_sslkey_password},
    Parameter{"sslverify", "BOOL", "true",
              "Whether the server must prove who it is (HTTPS).", false,
              set_sslverify},
    Parameter{"tcp-keepalive", "BOOL", "true",
              "Whether idle connections are kept alive by probes.", false, set_tcp_keepalive},
    Parameter{"tcp-nodelay", "BOOL", "true",
              "Whether small packets are sent at once.", false, set_tcp_nodelay},
    Parameter{"timeout", "SECONDS", "60",
              "Longest silence of the server; 0 for ever.", false,
              set_timeout},
    Parameter{"tls13-ciphers", "LIST", nullptr,
              "Ciphers for TLS 1.3.", false, set_tls13_ciphers},
    Parameter{"unix-socket-path", "SOCKET", nullptr,
              "Connect to this Unix socket instead of the URL's host.", false,
              set_unix_socket_path},
    Parameter{"url", "URL", nullptr,
              "(required) http or https URL of the disk image.", false,
              set_url},
    Parameter{"user", "USER", nullptr, "User name for the server.", false,
              set_user},
    Parameter{"user-agent", "TEXT", kDefaultUserAgent,
              "User-Agent header; empty for none.", false, set_user_agent},
};

} // namespace

std::span<const Parameter> parameters() { return kParameters; }

} // namespace httpcache
