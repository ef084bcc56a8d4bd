// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// ascii.h - letters, digits and blanks of protocols.
//
// <cctype> depends on the locale, which is the user's business, and is
// undefined for bytes above 0x7f; what HTTP and URLs mean by a letter is not.
// Pure, any thread, any byte.
#ifndef HTTPCACHE_ASCII_H
#define HTTPCACHE_ASCII_H

#include <algorithm>
#include <string>
#include <string_view>

namespace httpcache {

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
inline bool is_alpha(char c) { return is_upper(c) || (c >= 'a' && c <= 'z'); }
inline bool is_alnum(char c) { return is_alpha(c) || is_digit(c); }
inline bool is_hex(char c) {
  return is_digit(c) || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}
inline bool is_blank(char c) { return c == ' ' || c == '\t'; }
inline bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

inline char to_lower(char c) {
  return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
}
inline std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char &c : out)
    c = to_lower(c);
  return out;
}

inline bool equal_nocase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return to_lower(x) == to_lower(y); });
}

// Without blanks at either end.
inline std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back()))
    text.remove_suffix(1);
  return text;
}

} // namespace httpcache

#endif
