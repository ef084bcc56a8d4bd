// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// nbdkit-stubs.cc - the few of nbdkit's functions that the plugin's parts call,
// with the meaning they have in nbdkit 1.32; errors are kept for the tests.
// That nbdkit itself behaves so is for the functional tests.
#include "nbdkit-stubs.h"

#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <charconv>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string_view>
#include <utility>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

namespace {

std::mutex messages_mutex;
std::vector<std::string> errors;
std::vector<std::string> debug;

void add_message(std::vector<std::string> &to, const char *format,
                 va_list args) {
  char text[4096];
  vsnprintf(text, sizeof text, format, args);
  std::lock_guard lock(messages_mutex);
  to.emplace_back(text);
}

std::vector<std::string> take(std::vector<std::string> &from) {
  std::lock_guard lock(messages_mutex);
  return std::exchange(from, {});
}

template <typename T> int parse(const char *what, const char *str, T *r) {
  std::string_view text(str);
  T value = 0;
  auto [end, ec] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || end != text.data() + text.size()) {
    nbdkit_error("%s: could not parse number: \"%s\"", what, str);
    return -1;
  }
  if (r != nullptr)
    *r = value;
  return 0;
}

} // namespace

namespace nbdkit_stubs {

std::vector<std::string> take_errors() { return take(errors); }
std::vector<std::string> take_debug() { return take(debug); }

} // namespace nbdkit_stubs

extern "C" {

void nbdkit_verror(const char *msg, va_list args) {
  add_message(errors, msg, args);
}

void nbdkit_error(const char *msg, ...) {
  va_list args;
  va_start(args, msg);
  nbdkit_verror(msg, args);
  va_end(args);
}

void nbdkit_vdebug(const char *msg, va_list args) {
  add_message(debug, msg, args);
}

void nbdkit_debug(const char *msg, ...) {
  va_list args;
  va_start(args, msg);
  nbdkit_vdebug(msg, args);
  va_end(args);
}

void nbdkit_set_error(int err) { errno = err; }

// As nbdkit 1.32 does: strtoimax, then one letter that multiplies.
int64_t nbdkit_parse_size(const char *str) {
  char *end = nullptr;
  errno = 0;
  int64_t size = strtoimax(str, &end, 10);
  if (str == end) {
    nbdkit_error("could not parse size string (%s)", str);
    return -1;
  }
  if (size < 0) {
    nbdkit_error("size cannot be negative (%s)", str);
    return -1;
  }
  if (errno != 0) {
    nbdkit_error("size (%s) exceeds maximum value", str);
    return -1;
  }
  std::string_view rest(end);
  int64_t scale = 1;
  if (!rest.empty()) {
    std::string_view units = "bkmgtpe";
    int letter = std::tolower(static_cast<unsigned char>(rest[0]));
    size_t unit = units.find(static_cast<char>(letter));
    if (rest.size() > 1 || (unit == units.npos && letter != 's')) {
      nbdkit_error("could not parse size: unknown suffix '%s'", end);
      return -1;
    }
    scale = letter == 's' ? 512 : int64_t{1} << (10 * unit);
  }
  int64_t scaled = 0;
  if (__builtin_mul_overflow(size, scale, &scaled)) {
    nbdkit_error("overflow computing %s", str);
    return -1;
  }
  return scaled;
}

int nbdkit_parse_bool(const char *str) {
  for (const char *yes : {"1", "true", "t", "yes", "y", "on"})
    if (strcasecmp(str, yes) == 0)
      return 1;
  for (const char *no : {"0", "false", "f", "no", "n", "off"})
    if (strcasecmp(str, no) == 0)
      return 0;
  nbdkit_error("could not decipher boolean (%s)", str);
  return -1;
}

int nbdkit_parse_int(const char *what, const char *str, int *r) {
  return parse(what, str, r);
}
int nbdkit_parse_unsigned(const char *what, const char *str, unsigned *r) {
  return parse(what, str, r);
}
int nbdkit_parse_uint16_t(const char *what, const char *str, uint16_t *r) {
  return parse(what, str, r);
}
int nbdkit_parse_uint32_t(const char *what, const char *str, uint32_t *r) {
  return parse(what, str, r);
}
int nbdkit_parse_int64_t(const char *what, const char *str, int64_t *r) {
  return parse(what, str, r);
}
int nbdkit_parse_uint64_t(const char *what, const char *str, uint64_t *r) {
  return parse(what, str, r);
}

int nbdkit_stdio_safe() { return 1; }

// The password itself, or +FILE, whose first line it is.
int nbdkit_read_password(const char *value, char **password) {
  *password = nullptr;
  if (*value == '-') {
    nbdkit_error("no terminal in a unit test");
    return -1;
  }
  if (*value != '+') {
    *password = strdup(value);
    return *password != nullptr ? 0 : -1;
  }
  FILE *file = fopen(value + 1, "re");
  if (file == nullptr) {
    nbdkit_error("open %s: %s", value + 1, strerror(errno));
    return -1;
  }
  size_t size = 0;
  ssize_t length = getline(password, &size, file);
  fclose(file);
  if (length < 0) {
    free(*password);
    *password = strdup("");
  } else if (length > 0 && (*password)[length - 1] == '\n') {
    (*password)[length - 1] = '\0';
  }
  return 0;
}

char *nbdkit_absolute_path(const char *path) {
  if (*path == '\0') {
    nbdkit_error("cannot convert null or empty path to an absolute path");
    return nullptr;
  }
  if (*path == '/')
    return strdup(path);
  char *folder = getcwd(nullptr, 0);
  if (folder == nullptr)
    return nullptr;
  std::string whole = std::string(folder) + "/" + path;
  free(folder);
  return strdup(whole.c_str());
}

char *nbdkit_realpath(const char *path) { return realpath(path, nullptr); }

} // extern "C"
