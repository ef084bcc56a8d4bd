// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "config.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "ascii.h"
#include "config_values.h"
#include "header_line.h"
#include "redact.h"
#include "url.h"

namespace httpcache {

namespace {

// Levenshtein's: single letters to insert, drop or replace.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); j++)
    row[j] = j;
  for (size_t i = 1; i <= a.size(); i++) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); j++) {
      size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replace, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

// The parameter that was meant by KEY; null if it is like none.
const Parameter *parameter_like(const std::string &key) {
  const Parameter *closest = nullptr;
  size_t least = std::string::npos;
  for (const Parameter &parameter : parameters()) {
    std::string_view known = parameter.key;
    // What one is the beginning of is as good as a slip.
    size_t shorter = std::min(key.size(), known.size());
    bool begins = shorter >= 3 && known.substr(0, shorter) == key.substr(0, shorter);
    size_t distance = edit_distance(key, known);
    if (begins)
      distance = std::min<size_t>(distance, 2);
    else if (distance > std::max<size_t>(1, shorter / 3))
      continue;
    if (distance < least) {
      closest = &parameter;
      least = distance;
    }
  }
  return closest;
}

// RFC 7617 has none of them in a login.  Some ways to log in send them as they are, in a header.
Result<void> check_login(std::string_view prefix, const std::string &user,
                         const std::string &password) {
  if (has_control(user))
    return config_error(
        fmt::format("{}user=***: may not hold line ends or other control characters", prefix));
  if (has_control(password))
    return config_error(fmt::format("{}password=***: may not hold control characters, such as the "
                                    "line ends (CR LF) of a file written under Windows",
                                    prefix));
  return {};
}

// libcurl signs all headers of the list, also what it then does not send, or sends once.
Result<void> check_signed_headers(const Config &config) {
  if (config.aws_sigv4.empty())
    return {};
  std::set<std::string> names;
  for (const std::string &line : config.headers) {
    std::string name = to_lower(header_name(line));
    if (trim(header_value(line)).empty())
      return config_error(fmt::format("header='{}': with aws-sigv4= a header must have a value",
                                      escape_controls(line)));
    if (name == "x-amz-date" || name == "x-amz-content-sha256")
      return config_error(fmt::format("header='{}: ***' is made by aws-sigv4=: leave it out",
                                      escape_controls(name)));
    if (!names.insert(name).second)
      return config_error(fmt::format("header='{}: ***' is given twice: with aws-sigv4= that "
                                      "cannot be signed",
                                      escape_controls(name)));
  }
  return {};
}

// The login for the server.
Result<void> finish_login(ConfigDraft &draft) {
  Config &config = draft.config;
  auto given = [&](std::string_view key) { return draft.seen.contains(key); };
  if (!given("user"))
    config.user = std::move(draft.url_user);
  if (!given("password"))
    config.password = std::move(draft.url_password);
  // An empty name is one, to some who take a token for the password, but is to be said.
  if (config.user.empty() && given("password") && !given("user"))
    return config_error("password= is given without user=");
  bool login = !config.user.empty() || !config.password.empty();
  register_login(config.user, config.password);
  if (Result<void> ok = check_login("", config.user, config.password); !ok)
    return ok;

  if (!config.aws_sigv4.empty() && (config.user.empty() || config.password.empty()))
    return config_error("aws-sigv4= is given without user= and password=, which are to be the "
                        "access key ID and the secret access key");
  if (Result<void> ok = check_signed_headers(config); !ok)
    return ok;
  // One of them would be sent, and which is not obvious.
  if (!config.bearer_token.empty() && login)
    return config_error("bearer-token= is given with user=: log in by one of them");
  if (config.netrc && login)
    return config_error("netrc= is given with user=: log in by one of them");
  if (config.netrc && !config.bearer_token.empty())
    return config_error("netrc= is given with bearer-token=: log in by one of them");

  if (config.header_script.empty() && config.header_script_renew_s > 0)
    return config_error("header-script-renew= is given without header-script=");
  if (config.cookie_script.empty() && config.cookie_script_renew_s > 0)
    return config_error("cookie-script-renew= is given without cookie-script=");

  if (config.sslcert.empty() && !config.sslkey.empty())
    return config_error("sslkey= is given without sslcert=, the certificate that the key is of");
  if (config.sslcert.empty() && given("sslkey-password"))
    return config_error("sslkey-password= is given without sslcert=");
  return {};
}

// Variables that name a proxy for SCHEME, in the order in which libcurl asks
// them.  HTTP_PROXY is not among them: it is a header in CGI scripts.
std::vector<const char *> proxy_variables(std::string_view scheme) {
  if (scheme == "https")
    return {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
  return {"http_proxy", "all_proxy", "ALL_PROXY"};
}

Result<void> finish_proxy(ConfigDraft &draft) {
  Config &config = draft.config;
  auto given = [&](std::string_view key) { return draft.seen.contains(key); };
  if (!given("proxy-user"))
    config.proxy_user = std::move(draft.proxy_url_user);
  if (!given("proxy-password"))
    config.proxy_password = std::move(draft.proxy_url_password);
  bool any = config.proxy && !config.proxy->empty();
  for (std::string_view scheme : {"http", "https"}) {
    // They may have a password, which libcurl's words could tell.
    std::string text = environment_proxy(scheme);
    if (Result<ProxyUrl> proxy = parse_proxy(text))
      register_login(proxy.value().user, proxy.value().password);
    else
      register_user_info(text);
    any = any || (!config.proxy && !environment_proxy(scheme).empty());
  }
  if (!any && !config.proxy_user.empty())
    return config_error("proxy-user= is given without proxy=");
  if (config.proxy_user.empty() && !config.proxy_password.empty())
    return config_error("proxy-password= is given without proxy-user=");
  register_login(config.proxy_user, config.proxy_password);
  if (Result<void> ok = check_login("proxy-", config.proxy_user, config.proxy_password); !ok)
    return ok;
  if (config.proxy && !config.proxy->empty() && !config.unix_socket_path.empty())
    return config_error("proxy= and unix-socket-path= are two ways to the server: give one");
  return {};
}

} // namespace

std::string environment_proxy(std::string_view scheme) {
  for (const char *variable : proxy_variables(scheme))
    if (const char *value = getenv(variable); value != nullptr && *value != '\0')
      return value;
  return "";
}

bool protocol_allowed(std::string_view protocols, std::string_view scheme) {
  return fmt::format(",{},", protocols).find(fmt::format(",{},", scheme)) != std::string::npos;
}

const char *http_version_name(HttpVersion version) {
  switch (version) {
  case HttpVersion::V1_0:
    return "1.0";
  case HttpVersion::V1_1:
    return "1.1";
  case HttpVersion::V2:
    return "2.0";
  case HttpVersion::V2PriorKnowledge:
    return "2-prior-knowledge";
  case HttpVersion::V3:
    return "3";
  case HttpVersion::V3Only:
    return "3only";
  }
  return "";
}

Result<void> config_set(ConfigDraft &draft, std::string_view key,
                        const char *value) {
  for (const Parameter &parameter : parameters()) {
    if (key != parameter.key)
      continue;
    bool again = !draft.seen.emplace(key).second;
    if (again && key == "url")
      return bad_value(key, redact_url(value),
                       fmt::format("url was given already, as {}; one disk "
                                   "image is served, and where else it is, mirror= says",
                                   redact_url(draft.config.url)));
    return parameter.set(draft, value);
  }
  const Parameter *meant = parameter_like(to_lower(key));
  return config_error(
      fmt::format("unknown parameter '{}'{}`nbdkit httpcache --help` lists them all",
                  escape_controls(key),
                  meant == nullptr ? "; " : fmt::format(": did you mean '{}'? ", meant->key)));
}

std::vector<std::string> Config::urls() const {
  std::vector<std::string> all = {url};
  all.insert(all.end(), mirrors.begin(), mirrors.end());
  return all;
}

uint64_t physical_memory_bytes() {
  long pages = sysconf(_SC_PHYS_PAGES);
  long page_bytes = sysconf(_SC_PAGE_SIZE);
  if (pages <= 0 || page_bytes <= 0)
    return std::numeric_limits<uint64_t>::max(); // unknown: refuse nothing
  return static_cast<uint64_t>(pages) * static_cast<uint64_t>(page_bytes);
}

Result<Config> config_finish(ConfigDraft &&draft, uint64_t memory_bytes) {
  Config &config = draft.config;
  if (!draft.seen.contains("url"))
    return config_error("url is missing: say which disk image to serve, for "
                        "example url=https://example.com/disk.qcow2");

  if (!draft.seen.contains("cache-blocks"))
    config.cache_blocks =
        std::max(kDefaultCacheBytes / config.blocksize, kMinDefaultCacheBlocks);
  uint64_t cache_bytes = 0;
  bool overflow = __builtin_mul_overflow(
      config.cache_blocks, uint64_t{config.blocksize}, &cache_bytes);
  if (overflow || cache_bytes > memory_bytes)
    return config_error(fmt::format(
        "cache-blocks={} with blocksize={} comes to {} bytes, but this machine "
        "has {} bytes of memory: that is room for cache-blocks={} at most",
        config.cache_blocks, human_size(config.blocksize),
        overflow ? "more than 2^64" : fmt::format("{}", cache_bytes),
        memory_bytes, memory_bytes / config.blocksize));

  const std::vector<std::string> urls = config.urls();
  for (const std::string &url : urls) {
    std::string scheme = url.substr(0, url.find(':'));
    if (!protocol_allowed(config.protocols, scheme))
      return bad_value("protocols", config.protocols,
                       fmt::format("does not allow {}, which is what {}={} wants", scheme,
                                   &url == &urls.front() ? "url" : "mirror", redact_url(url)));
    if (std::count(urls.begin(), urls.end(), url) > 1)
      return bad_value("mirror", redact_url(url), "is given twice; name each place once");
  }

  constexpr uint64_t kMaxEnd = std::numeric_limits<int64_t>::max();
  if (config.size && *config.size > kMaxEnd - config.offset)
    return config_error(fmt::format(
        "offset={} and size={} together reach past 2^63 - 1, the most that NBD "
        "and HTTP ranges can say",
        config.offset, *config.size));

  if (Result<void> ok = finish_login(draft); !ok)
    return std::move(ok).error();
  if (Result<void> ok = finish_proxy(draft); !ok)
    return std::move(ok).error();
  return std::move(config);
}

std::string config_help() {
  constexpr size_t kColumn = 26; // where the explanations begin
  constexpr size_t kWidth = 80;
  const std::string indent = '\n' + std::string(kColumn, ' ');
  std::string out;
  for (const Parameter &parameter : parameters()) {
    std::string left =
        fmt::format("{}=<{}>", parameter.key, parameter.argument);
    if (left.size() + 1 > kColumn)
      left += indent;
    out += fmt::format("{:<{}}{}", left, kColumn, parameter.help);
    auto append = [&](const std::string &remark) {
      bool fits = out.size() - (out.rfind('\n') + 1) + 1 + remark.size() <= kWidth;
      out += (fits ? " " : indent) + remark;
    };
    if (parameter.default_text != nullptr) {
      std::string text = parameter.default_text;
      if (std::string_view(parameter.argument) == "SIZE")
        text = human_size(std::stoull(text));
      append(fmt::format("(default: {})", text));
    }
    if (parameter.repeatable)
      append("(may be given several times)");
    out += '\n';
  }
  out.pop_back(); // nbdkit ends the last line
  return out;
}

std::string config_dump() {
  std::string out;
  for (const Parameter &parameter : parameters()) {
    if (parameter.default_text == nullptr)
      continue;
    std::string key = parameter.key;
    std::replace(key.begin(), key.end(), '-', '_');
    out +=
        fmt::format("httpcache_default_{}={}\n", key, parameter.default_text);
  }
  return out;
}

} // namespace httpcache
