// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "config_values.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
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
#include "unique_fd.h"

namespace httpcache {

Error config_error(std::string text) {
  return {ErrorKind::Permanent, EINVAL, 0, std::move(text)};
}

Error bad_value(std::string_view key, std::string_view value,
                std::string_view why) {
  return config_error(
      fmt::format("{}={}: {}", key, escape_controls(value), why));
}

// What nbdkit could never take is refused here, with one message instead of two.
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

Result<uint64_t> parse_seconds(std::string_view key, const char *value, uint64_t max_ms) {
  std::string_view text(value);
  size_t point = std::min(text.find('.'), text.size());
  std::string_view whole = text.substr(0, point);
  std::string_view parts = text.substr(std::min(point + 1, text.size()));
  auto all_digits = [](std::string_view s) { return std::all_of(s.begin(), s.end(), is_digit); };
  bool is_number = !whole.empty() && all_digits(whole) && all_digits(parts) &&
                   whole.size() < 10 && parts.size() <= 3 &&
                   (point == text.size() || !parts.empty());
  uint64_t ms = 0;
  if (is_number) {
    ms = std::stoull(std::string(whole)) * 1000;
    if (!parts.empty())
      ms += std::stoull(std::string(parts) + std::string(3 - parts.size(), '0'));
  }
  if (!is_number || ms > max_ms)
    return bad_value(key, value,
                     fmt::format("must be seconds, from 0 to {}, such as 2 or 0.25",
                                 max_ms / 1000));
  return ms;
}

Result<bool> parse_bool(std::string_view key, const char *value) {
  int boolean = nbdkit_parse_bool(value);
  if (boolean < 0)
    return bad_value(key, value, "must be true or false");
  return boolean != 0;
}

Result<std::string> absolute_path(std::string_view key, const char *value) {
  CText path(nbdkit_absolute_path(value), &free);
  if (!path)
    return bad_value(key, value, "cannot be made an absolute path");
  return std::string(path.get());
}

Result<std::string> readable_file(std::string_view key, const char *value) {
  if (*value == '\0')
    return bad_value(key, value, "the name of a file is missing");
  Result<std::string> path = absolute_path(key, value);
  if (!path)
    return path;
  struct stat st = {};
  if (::access(path.value().c_str(), R_OK) != 0 || ::stat(path.value().c_str(), &st) != 0)
    return bad_value(key, value, strerror(errno));
  if (S_ISDIR(st.st_mode))
    return bad_value(key, value, "is a folder");
  return path;
}

Result<std::string> existing_folder(std::string_view key, const char *value) {
  Result<std::string> path = absolute_path(key, value);
  if (!path)
    return path;
  struct stat st = {};
  if (::stat(path.value().c_str(), &st) != 0)
    return bad_value(key, value, strerror(errno));
  if (!S_ISDIR(st.st_mode))
    return bad_value(key, value, "is no folder");
  return path;
}

Result<std::string> contents_of(std::string_view key, const std::string &path) {
  constexpr size_t kMost = size_t{1} << 20;
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0)
    return bad_value(key, path, strerror(errno));
  std::string text;
  for (;;) {
    char piece[4096];
    ssize_t got = ::read(fd.get(), piece, sizeof piece);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return bad_value(key, path, strerror(errno));
    if (got == 0)
      return text;
    text.append(piece, static_cast<size_t>(got));
    if (text.size() > kMost)
      return bad_value(key, path, "is larger than 1 MiB: the wrong file?");
  }
}

Result<std::string> read_secret(std::string_view key, const char *value) {
  // One that begins so by itself is not shown, which nbdkit would do.
  std::string_view number = *value == '-' ? value + 1 : "";
  if (!std::all_of(number.begin(), number.end(), is_digit))
    return config_error(fmt::format("{}=-***: '-' is followed by the number of a file descriptor; "
                                    "a {} that begins with '-' must be given by +FILE or -FD",
                                    key, key));
  char *text = nullptr;
  if (nbdkit_read_password(value, &text) != 0)
    return config_error(fmt::format("{}={}: could not be read; give +FILE, -FD, - to be asked, or "
                                    "the {} itself",
                                    key, *value == '+' || *value == '-' ? value : "***", key));
  CText owner(text, &free);
  std::string secret(text);
  // At once: the next parameter's error could be about it.
  register_secret(secret);
  return secret;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return is_control(c) && c != '\t'; });
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

} // namespace httpcache
