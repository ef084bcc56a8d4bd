// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "config.h"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

#include <fmt/format.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "ascii.h"
#include "redact.h"
#include "url.h"

namespace httpcache {

namespace {

struct FreeDeleter {
  void operator()(char *text) const { ::free(text); }
};
using CText = std::unique_ptr<char, FreeDeleter>;

Error config_error(std::string text) {
  return {ErrorKind::Permanent, EINVAL, 0, std::move(text)};
}

// "blocksize=300K: WHY"
Error bad_value(std::string_view key, std::string_view value,
                std::string_view why) {
  return config_error(
      fmt::format("{}={}: {}", key, escape_controls(value), why));
}

// --- Values -----------------------------------------------------------------

// nbdkit's own sizes (`nbdkit(1)`: 1024, 64K, 10G).  What it could never take
// is refused here, with one message instead of two.
Result<uint64_t> parse_size(std::string_view key, const char *value) {
  constexpr std::string_view kAllowed =
      "not a size: give bytes, or a number with K, M, G, T, P or E behind it, "
      "such as 65536 or 64K";
  std::string_view text(value);
  if (text.starts_with('-'))
    return bad_value(key, value, "a size cannot be negative");
  if (text.empty() || !is_digit(text.front()))
    return bad_value(key, value, kAllowed);
  int64_t size = nbdkit_parse_size(value);
  if (size < 0)
    return bad_value(key, value, kAllowed);
  return static_cast<uint64_t>(size);
}

// A plain number; octal and hexadecimal as nbdkit takes them.
Result<uint64_t> parse_number(std::string_view key, const char *value,
                              uint64_t min, uint64_t max,
                              std::string_view unit) {
  std::string_view text(value);
  char *end = nullptr;
  errno = 0;
  unsigned long long number = strtoull(value, &end, 0);
  bool is_number = !text.empty() && is_digit(text.front()) && *end == '\0';
  if (!is_number || errno == ERANGE || number < min || number > max)
    return bad_value(
        key, value,
        max == std::numeric_limits<uint64_t>::max()
            ? fmt::format("must be a number of {}, at least {}", unit, min)
            : fmt::format("must be a number of {} from {} to {}", unit, min,
                          max));
  return uint64_t{number};
}

Result<std::string> absolute_path(std::string_view key, const char *value) {
  CText path(nbdkit_absolute_path(value));
  if (!path)
    return bad_value(key, value, "cannot be made an absolute path");
  return std::string(path.get());
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return is_control(c) && c != '\t'; });
}

// --- Setters, one for each key ----------------------------------------------

Result<void> set_url(ConfigDraft &draft, const char *value) {
  Result<Url> url = parse_url(value);
  if (!url)
    return std::move(url).error();
  Url &parsed = url.value();
  register_query(parsed.query);
  draft.config.url = std::move(parsed.request);
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

// The names are nbdkit-curl-plugin's, of which 2.0 and 2TLS differ in one thing:
// in clear, 2.0 there asks servers to upgrade, which RFC 9113 has dropped.
Result<void> set_http_version(ConfigDraft &draft, const char *value) {
  std::string_view name = value;
  if (name == "1.1")
    draft.config.http_version = HttpVersion::V1_1;
  else if (name == "2.0" || name == "2TLS")
    draft.config.http_version = HttpVersion::V2;
  else if (name == "2-prior-knowledge")
    draft.config.http_version = HttpVersion::V2PriorKnowledge;
  else
    return bad_value("http-version", value, "must be 1.1, 2.0, 2TLS or 2-prior-knowledge");
  return {};
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

Result<void> set_sslverify(ConfigDraft &draft, const char *value) {
  int boolean = nbdkit_parse_bool(value);
  if (boolean < 0)
    return bad_value("sslverify", value, "must be true or false");
  draft.config.sslverify = boolean != 0;
  return {};
}

Result<void> set_cainfo(ConfigDraft &draft, const char *value) {
  if (*value == '\0') {
    draft.config.cainfo = "";
    return {};
  }
  Result<std::string> path = absolute_path("cainfo", value);
  if (!path)
    return std::move(path).error();
  // Opened, not only looked for: libcurl would tell of it much later, and as
  // "error setting certificate verify locations".
  struct stat st = {};
  if (::access(path.value().c_str(), R_OK) != 0 ||
      ::stat(path.value().c_str(), &st) != 0)
    return bad_value("cainfo", value, strerror(errno));
  if (S_ISDIR(st.st_mode))
    return bad_value("cainfo", value,
                     "is a folder; a folder of certificates is given as "
                     "capath=");
  draft.config.cainfo = std::move(path).value();
  return {};
}

Result<void> set_capath(ConfigDraft &draft, const char *value) {
  if (*value == '\0') {
    draft.config.capath = "";
    return {};
  }
  Result<std::string> path = absolute_path("capath", value);
  if (!path)
    return std::move(path).error();
  struct stat st = {};
  if (::stat(path.value().c_str(), &st) != 0)
    return bad_value("capath", value, strerror(errno));
  if (!S_ISDIR(st.st_mode))
    return bad_value("capath", value,
                     "is no folder; a file of certificates is given as "
                     "cainfo=");
  draft.config.capath = std::move(path).value();
  return {};
}

Result<void> set_user(ConfigDraft &draft, const char *value) {
  // `user=me:secret` is what curl -u takes.
  if (strchr(value, ':') != nullptr)
    return config_error("user=***: a user name cannot hold ':'; the password is "
                        "given as password=");
  draft.config.user = value;
  return {};
}

Result<void> set_password(ConfigDraft &draft, const char *value) {
  char *text = nullptr;
  if (nbdkit_read_password(value, &text) != 0)
    return config_error(
        fmt::format("password={}: could not be read; give +FILE, -FD, - to be "
                    "asked, or the password itself",
                    *value == '+' || *value == '-' ? value : "***"));
  CText owner(text);
  draft.config.password = text;
  // At once: the next parameter's error could be about it.
  register_secret(draft.config.password);
  return {};
}

Result<void> set_header(ConfigDraft &draft, const char *value) {
  std::string_view text(value);
  size_t end = text.find_first_of(":;");
  std::string_view name = text.substr(0, end);
  // The value stays out of every message.
  auto bad = [&](std::string_view why) {
    return config_error(fmt::format(
        "header={}: {}, for example header='Accept-Language: en'",
        end == text.npos ? "***" : escape_controls(name) + ":***", why));
  };
  if (end == text.npos)
    return bad("must be a name, a colon and a value");
  if (text[end] == ';' && !trim(text.substr(end + 1)).empty())
    return bad("must be a name, a colon and a value (or a name and ';' to send "
               "it empty)");
  if (has_control(text))
    return bad("may not hold line ends or other control characters");
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~"; // RFC 9110 5.6.2
  bool is_token =
      !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
        return is_alnum(c) || kMarks.find(c) != kMarks.npos;
      });
  if (!is_token)
    return bad("the name before the colon must be letters, digits and '-'");
  // The range is each request's own, and conditions change what an answer means.
  for (std::string_view own : {"Range", "If-Range", "If-Match"})
    if (equal_nocase(name, own))
      return bad("answers to requests with it could not be checked");

  register_header(name, text.substr(end + 1));
  draft.config.headers.emplace_back(value);
  return {};
}

Result<void> set_user_agent(ConfigDraft &draft, const char *value) {
  if (has_control(value))
    return bad_value("user-agent", value,
                     "may not hold line ends or other control characters");
  draft.config.user_agent = value;
  return {};
}

Result<void> set_unix_socket_path(ConfigDraft &draft, const char *value) {
  if (*value == '\0')
    return bad_value("unix-socket-path", value, "a path is missing");
  Result<std::string> path = absolute_path("unix-socket-path", value);
  if (!path)
    return std::move(path).error();
  constexpr size_t kMost = sizeof(sockaddr_un::sun_path) - 1;
  if (path.value().size() > kMost)
    return bad_value(
        "unix-socket-path", value,
        fmt::format("the path {} has {} bytes, a Unix socket's at most {}",
                    path.value(), path.value().size(), kMost));
  // It need not be there yet, but must be nothing else.
  struct stat st = {};
  if (::stat(path.value().c_str(), &st) == 0 && !S_ISSOCK(st.st_mode))
    return bad_value("unix-socket-path", value, "is no Unix socket");
  draft.config.unix_socket_path = std::move(path).value();
  return {};
}

// --- The table --------------------------------------------------------------

constexpr std::array kParameters = {
    Parameter{"blocksize", "SIZE", "262144",
              "Unit of caching and of requests: a power of two, 4K to 32M.",
              false, set_blocksize},
    Parameter{"cache-blocks", "N", "512",
              "Blocks of memory in all (of other blocksizes: as make 128M).",
              false, set_cache_blocks},
    Parameter{"cainfo", "FILE", nullptr,
              "Certificates of the CAs to trust; empty for none.", false,
              set_cainfo},
    Parameter{"capath", "DIR", nullptr,
              "Folder of such certificates; empty for none.", false,
              set_capath},
    Parameter{"connections", "N", "16",
              "Most connections to the server at a time, 1 to 256.", false,
              set_connections},
    Parameter{"header", "'NAME: VALUE'", nullptr,
              "Header to send with each request.", true, set_header},
    Parameter{"http-version", "VERSION", "1.1",
              "Of HTTP: 1.1, 2.0, 2TLS or 2-prior-knowledge.", false,
              set_http_version},
    Parameter{"offset", "SIZE", "0",
              "Byte of the file at which the disk image begins.", false,
              set_offset},
    Parameter{"password", "PASSWORD|+FILE|-|-FD", nullptr, "Password for user.",
              false, set_password},
    Parameter{"readahead", "SIZE|auto|0", "auto",
              "Most bytes to fetch ahead of a sequential reader; 0 for none.",
              false, set_readahead},
    Parameter{"size", "SIZE", nullptr,
              "Bytes of the disk image, if not all to the end of the file.",
              false, set_size},
    Parameter{"sslverify", "true|false", "true",
              "Whether the server must prove who it is (HTTPS).", false,
              set_sslverify},
    Parameter{"timeout", "SECONDS", "60",
              "Longest time without a byte from the server; 0 for ever.", false,
              set_timeout},
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
  for (const Parameter &parameter : kParameters) {
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

} // namespace

const char *http_version_name(HttpVersion version) {
  switch (version) {
  case HttpVersion::V1_1:
    return "1.1";
  case HttpVersion::V2:
    return "2.0";
  case HttpVersion::V2PriorKnowledge:
    return "2-prior-knowledge";
  }
  return "";
}

std::string human_size(uint64_t bytes) {
  constexpr std::string_view kUnits = "KMGTPE";
  size_t unit = 0;
  while (unit < kUnits.size() && bytes >= 1024 && bytes % 1024 == 0) {
    bytes /= 1024;
    unit++;
  }
  return unit == 0 ? fmt::format("{}", bytes)
                   : fmt::format("{}{}", bytes, kUnits[unit - 1]);
}

std::span<const Parameter> parameters() { return kParameters; }

Result<void> config_set(ConfigDraft &draft, std::string_view key,
                        const char *value) {
  for (const Parameter &parameter : kParameters) {
    if (key != parameter.key)
      continue;
    bool again = !draft.seen.emplace(key).second;
    if (again && key == "url")
      return bad_value(key, redact_url(value),
                       fmt::format("url was given already, as {}; one disk "
                                   "image is served",
                                   redact_url(draft.config.url)));
    return parameter.set(draft, value);
  }
  const Parameter *meant = parameter_like(to_lower(key));
  return config_error(
      fmt::format("unknown parameter '{}'{}`nbdkit httpcache --help` lists them all",
                  escape_controls(key),
                  meant == nullptr ? "; " : fmt::format(": did you mean '{}'? ", meant->key)));
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

  constexpr uint64_t kMaxEnd = std::numeric_limits<int64_t>::max();
  if (config.size && *config.size > kMaxEnd - config.offset)
    return config_error(fmt::format(
        "offset={} and size={} together reach past 2^63 - 1, the most that NBD "
        "and HTTP ranges can say",
        config.offset, *config.size));

  if (!draft.seen.contains("user"))
    config.user = std::move(draft.url_user);
  if (!draft.seen.contains("password"))
    config.password = std::move(draft.url_password);
  if (config.user.empty() && !config.password.empty())
    return config_error("password= is given without user=");
  register_login(config.user, config.password);
  return std::move(config);
}

std::string config_help() {
  constexpr size_t kColumn = 26; // where the explanations begin
  std::string out;
  for (const Parameter &parameter : kParameters) {
    std::string left =
        fmt::format("{}=<{}>", parameter.key, parameter.argument);
    if (left.size() + 1 > kColumn)
      left += '\n' + std::string(kColumn, ' ');
    out += fmt::format("{:<{}}{}", left, kColumn, parameter.help);
    if (parameter.default_text != nullptr) {
      std::string text = parameter.default_text;
      if (std::string_view(parameter.argument) == "SIZE")
        text = human_size(std::stoull(text));
      out += fmt::format(" (default: {})", text);
    }
    if (parameter.repeatable)
      out += " (may be given several times)";
    out += '\n';
  }
  out.pop_back(); // nbdkit ends the last line
  return out;
}

std::string config_dump() {
  std::string out;
  for (const Parameter &parameter : kParameters) {
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
