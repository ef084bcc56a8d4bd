// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// config_values.h - what the values of parameters look like.
//
// Each parser takes the KEY, for messages, and the VALUE as it was given.
//
// Threads: nbdkit's main thread, before the fork (nbdkit's parsers use static
// memory).  Errors are Permanent with EINVAL and read "blocksize=300K: WHY".
#ifndef HTTPCACHE_CONFIG_VALUES_H
#define HTTPCACHE_CONFIG_VALUES_H

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "error.h"

namespace httpcache {

// What nbdkit gives is freed with free(3).
using CText = std::unique_ptr<char, void (*)(void *)>;

Error config_error(std::string text);
Error bad_value(std::string_view key, std::string_view value, std::string_view why);

// nbdkit's own sizes (nbdkit(1): 1024, 64K, 10G).
Result<uint64_t> parse_size(std::string_view key, const char *value);

// A plain number of UNITs, from MIN to MAX; octal and hexadecimal as nbdkit takes them.
Result<uint64_t> parse_number(std::string_view key, const char *value, uint64_t min, uint64_t max,
                              std::string_view unit);

// Seconds, with up to three digits behind a point: "2", "0.25".  As ms, at most MAX_MS.
Result<uint64_t> parse_seconds(std::string_view key, const char *value, uint64_t max_ms);

// nbdkit's: true, false, on, off, yes, no, 1, 0 and more.
Result<bool> parse_bool(std::string_view key, const char *value);

Result<std::string> absolute_path(std::string_view key, const char *value);

// The absolute path of a file that can be read, or of a folder.  It is looked at
// now: libcurl would tell of it much later, and in other words.
Result<std::string> readable_file(std::string_view key, const char *value);
Result<std::string> existing_folder(std::string_view key, const char *value);

// A file's contents, of at most 1 MiB: nobody writes larger ones by hand.
Result<std::string> contents_of(std::string_view key, const std::string &path);

// What nbdkit_read_password() makes of +FILE, -, -FD or the secret itself, which
// is registered with redact.h.
Result<std::string> read_secret(std::string_view key, const char *value);

// Line ends and the like; not tabs.
bool has_control(std::string_view text);

// 262144 as "256K"; what no unit divides, plainly.
std::string human_size(uint64_t bytes);

} // namespace httpcache

#endif
