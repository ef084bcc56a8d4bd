// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// config.h - the parameters: one table, from which everything else follows.
//
// nbdkit's .config calls config_set() for each key=value, .config_complete
// calls config_finish() once, which makes the one Config.  A Config never
// changes afterwards and is passed on by const reference.  --help,
// --dump-plugin and the tests that compare with the POD read the same table
// (parameters()).
//
// Everything secret that is given (passwords, tokens, cookies, header values,
// user info and query of the URL) is registered with redact.h here, before
// anything could show it.
//
// Threads: nbdkit's main thread, before the fork.  A finished Config may be
// read by any.  Ownership: strings are copied.  Paths are made absolute, since
// nbdkit changes to / in the background.  Errors are Permanent with EINVAL;
// their text names the key, what was given, what is allowed, and an example.
// nbdkit's own parsers may have said a line of their own before.
#ifndef HTTPCACHE_CONFIG_H
#define HTTPCACHE_CONFIG_H

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "error.h"
#include "netrc.h"

namespace httpcache {

inline constexpr uint32_t kMinBlockSize = 4096;
inline constexpr uint32_t kMaxBlockSize = uint32_t{32} * 1024 * 1024;
// A guest's boot, fetched by misses alone, takes 826 requests and 86 MB with
// blocks of 64 KiB, 425 and 123 MB with 256 KiB, 196 and 207 MB with 1 MiB
// (measured with a prototype).
inline constexpr uint32_t kDefaultBlockSize = uint32_t{256} * 1024;

// One block to be read from while another arrives.
inline constexpr uint64_t kMinCacheBlocks = 2;
// A readahead window for a fast long link (64 MiB did for all that were
// measured), and as much again for blocks to be used twice.  The default of
// cache-blocks is what makes this many bytes, so that blocksize alone neither
// starves the cache nor blows it up to 16 GiB; but kMinDefaultCacheBlocks for
// the largest blocks.
inline constexpr uint64_t kDefaultCacheBytes = uint64_t{128} * 1024 * 1024;
inline constexpr uint64_t kMinDefaultCacheBlocks = 8;
inline constexpr uint64_t kDefaultCacheBlocks =
    kDefaultCacheBytes / kDefaultBlockSize;

inline constexpr unsigned kMaxConnections = 256;
inline constexpr unsigned kDefaultConnections = 16; // as nbdkit-curl-plugin

inline constexpr uint32_t kMaxTimeoutS = uint32_t{24} * 60 * 60;
inline constexpr uint32_t kDefaultTimeoutS = 60;

inline constexpr uint32_t kMaxRenewS = uint32_t{365} * 24 * 60 * 60;

// A server that refuses at once is asked for as long as kDefaultRetryMaxTimeS however
// the waits fall; attempts that take long are fewer.
inline constexpr unsigned kMaxRetries = 1000;
inline constexpr unsigned kDefaultRetries = 30;
inline constexpr uint32_t kMaxRetryDelayMs = uint32_t{60} * 60 * 1000;
inline constexpr uint32_t kDefaultRetryDelayMs = 250; // a lost connection is soon made again
inline constexpr uint32_t kDefaultRetryMaxTimeS = 120; // then EIO is better than silence

inline constexpr size_t kMaxMirrors = 15; // beside the URL

inline constexpr const char *kDefaultUserAgent = "nbdkit-httpcache";

inline constexpr const char *kDefaultProtocols = "http,https";

enum class HttpVersion {
  V1_0,
  V1_1,
  V2,               // with HTTPS if the server has it, else 1.1
  V2PriorKnowledge, // nothing but 2, without HTTPS too
  V3,               // with HTTPS if the server has it, else 2 or 1.1
  V3Only,           // nothing but 3
};
// Is SCHEME (in lower case) one of PROTOCOLS?
bool protocol_allowed(std::string_view protocols, std::string_view scheme);

// What the environment says is the proxy for SCHEME, as http_proxy and its kin are
// read by libcurl; empty: none.  A secret: it may have a password.
std::string environment_proxy(std::string_view scheme);

// As http-version= takes it.
const char *http_version_name(HttpVersion version);

enum class TlsVersion { Any, V1_0, V1_1, V1_2, V1_3 };
enum class IpVersion { Any, V4, V6 };

struct Config {
  std::string url;     // percent-encoded, without user info.  Show it through
                       // redact_url() only: the query may be a signature
  std::vector<std::string> mirrors; // other URLs of the same; likewise
  uint64_t offset = 0; // bytes of the object before the export
  std::optional<uint64_t> size; // bytes of the export; none: to the end
  uint32_t blocksize = kDefaultBlockSize; // bytes; a power of two
  uint64_t cache_blocks = kDefaultCacheBlocks;
  std::optional<uint64_t> readahead; // none: automatic; 0: off; else the
                                     // largest window in bytes
  unsigned connections = kDefaultConnections;
  HttpVersion http_version = HttpVersion::V1_1;
  bool sslverify = true;
  std::optional<std::string> cainfo; // none: libcurl's; empty: no CA file
  std::optional<std::string> capath; // none: libcurl's; empty: no CA folder
  // For the scheme, host and port of `url` only (http_credentials.h).
  std::string user; // empty with a password: an empty name
  std::string password;
  std::string bearer_token;
  std::string aws_sigv4; // as libcurl takes it; user and password are the keys
  std::string cookie;    // value of a Cookie header
  std::vector<std::string> headers; // in the order given
  std::string header_script;        // shell commands (renewal.h); empty: none
  std::string cookie_script;
  uint32_t header_script_renew_s = 0; // 0: never by age
  uint32_t cookie_script_renew_s = 0;
  std::string url_as_given; // for them; a secret
  std::string folder;       // in which they run; empty: unknown
  std::string sslcert;              // of the client
  std::string sslkey;               // empty: in sslcert
  std::string sslkey_password;
  // For the hosts that it names.
  std::optional<Netrc> netrc; // none: not looked into
  // For the hosts that each cookie names.
  std::optional<std::string> cookiefile; // none: no cookies but those of
                                         // `cookie`; empty: none at the start
  std::string cookiejar;                 // empty: they are forgotten at the end
  // For the proxy.
  std::optional<std::string> proxy; // without user info; none: the environment's;
                                    // empty: no proxy
  std::string proxy_user;
  std::string proxy_password;
  std::optional<std::string> proxy_cainfo; // as cainfo
  std::optional<std::string> proxy_capath;

  TlsVersion tls_min = TlsVersion::Any;
  TlsVersion tls_max = TlsVersion::Any;
  std::string ssl_cipher_list; // up to TLS 1.2; empty: libcurl's
  std::string tls13_ciphers;
  std::string user_agent = kDefaultUserAgent; // empty: send no such header
  uint32_t timeout_s = kDefaultTimeoutS; // without a byte; 0: wait for ever
  std::optional<uint32_t> connect_timeout_s; // none: timeout_s; 0: wait for ever
  unsigned retries = kDefaultRetries;
  uint32_t retry_delay_ms = kDefaultRetryDelayMs; // before the first retry
  uint32_t retry_max_time_s = kDefaultRetryMaxTimeS; // 0: for ever
  std::string unix_socket_path;          // empty: TCP
  std::vector<std::string> resolve;      // "host:port:address"
  IpVersion ip_version = IpVersion::Any;
  bool tcp_keepalive = true;
  bool tcp_nodelay = true;
  bool follow_location = true;           // redirects
  bool insecure_redirects = false;       // also from https to http
  bool ignore_etag = false;              // of what tells that the object has changed
  std::string protocols = kDefaultProtocols; // as libcurl takes them

  // That of url= and then the mirrors.
  std::vector<std::string> urls() const;
};

// What .config has gathered so far.
struct ConfigDraft {
  Config config;
  std::set<std::string, std::less<>> seen; // the keys given
  std::string url_user; // from the URL; user= and password= go before
  std::string url_password;
  std::string proxy_url_user; // the same of proxy=
  std::string proxy_url_password;
};

struct Parameter {
  const char *key;
  const char *argument;     // for --help: "SIZE", "true|false"
  const char *default_text; // as --dump-plugin prints it; nullptr: none
  const char *help;         // one line
  bool repeatable;          // may be given several times, all of which count;
                            // of others the last counts (but url: once)
  Result<void> (*set)(ConfigDraft &draft, const char *value);
};

// All of them, in alphabetical order of the key.
std::span<const Parameter> parameters();

Result<void> config_set(ConfigDraft &draft, std::string_view key,
                        const char *value);

// Bytes of memory that this machine has.
uint64_t physical_memory_bytes();

// Checks what only the whole shows.  MEMORY_BYTES is what the cache must fit
// into.
Result<Config> config_finish(ConfigDraft &&draft,
                             uint64_t memory_bytes = physical_memory_bytes());

// The text of .config_help.
std::string config_help();

// Lines for .dump_plugin: "httpcache_default_KEY=VALUE\n" for each parameter
// that has a default, with '-' in the key as '_'.
std::string config_dump();

} // namespace httpcache

#endif
