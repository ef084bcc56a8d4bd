// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "header_line.h"

#include <algorithm>

#include "ascii.h"
#include "config_values.h"

namespace httpcache {

std::string_view header_name(std::string_view line) {
  return line.substr(0, line.find_first_of(":;"));
}

std::string_view header_value(std::string_view line) {
  size_t end = line.find_first_of(":;");
  return end == line.npos ? std::string_view() : line.substr(end + 1);
}

bool is_header_name(std::string_view name) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~"; // RFC 9110 5.6.2
  return !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return is_alnum(c) || kMarks.find(c) != kMarks.npos;
  });
}

std::string_view why_no_header(std::string_view line) {
  std::string_view name = header_name(line);
  if (name.size() == line.size())
    return "must be a name, a colon and a value";
  if (line[name.size()] == ';' && !trim(header_value(line)).empty())
    return "must be a name, a colon and a value (or a name and ';' to send it empty)";
  if (has_control(line))
    return "may not hold line ends or other control characters";
  if (!is_header_name(name))
    return "the name before the colon must be letters, digits and '-'";
  // The range is each request's own, and conditions change what an answer means.
  for (std::string_view own : {"Range", "If-Range", "If-Match"})
    if (equal_nocase(name, own))
      return "answers to requests with it could not be checked";
  return "";
}

std::string_view why_no_cookie(std::string_view text) {
  if (has_control(text))
    return "may not hold line ends or other control characters";
  if (to_lower(text.substr(0, 7)) == "cookie:")
    return "must be what stands behind 'Cookie: ' in a header";
  if (text.find('=') == text.npos)
    return "must be NAME=VALUE, or several with \"; \" between them";
  return "";
}

} // namespace httpcache
