// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// The setters of parameters.h that say who the user is.

#include "parameters.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "ascii.h"
#include "config_values.h"
#include "redact.h"

namespace httpcache {

Result<void> set_user(ConfigDraft &draft, const char *value) {
  // `user=me:secret` is what curl -u takes.
  if (strchr(value, ':') != nullptr)
    return config_error("user=***: a user name cannot hold ':'; the password is "
                        "given as password=");
  draft.config.user = value;
  return {};
}

Result<void> set_password(ConfigDraft &draft, const char *value) {
  Result<std::string> secret = read_secret("password", value);
  if (!secret)
    return std::move(secret).error();
  draft.config.password = std::move(secret).value();
  return {};
}

Result<void> set_header(ConfigDraft &draft, const char *value) {
  std::string_view text(value);
  size_t end = text.find_first_of(":;");
  std::string_view name = text.substr(0, end);
  // The value stays out of every message.
  auto bad = [&](std::string_view why) {
    return config_error(fmt::format("header={}: {}, for example header='Accept-Language: en'",
                                    end == text.npos ? "***" : escape_controls(name) + ":***",
                                    why));
  };
  if (end == text.npos)
    return bad("must be a name, a colon and a value");
  if (text[end] == ';' && !trim(text.substr(end + 1)).empty())
    return bad("must be a name, a colon and a value (or a name and ';' to send it empty)");
  if (has_control(text))
    return bad("may not hold line ends or other control characters");
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~"; // RFC 9110 5.6.2
  bool is_token = !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return is_alnum(c) || kMarks.find(c) != kMarks.npos;
  });
  if (!is_token)
    return bad("the name before the colon must be letters, digits and '-'");
  // The range is each request's own, and conditions change what an answer means.
  for (std::string_view own : {"Range", "If-Range", "If-Match"})
    if (equal_nocase(name, own))
      return bad("answers to requests with it could not be checked");

  register_header(name, text.substr(end + 1));
  draft.config.headers.emplace_back(text);
  return {};
}

Result<void> set_sslcert(ConfigDraft &draft, const char *value) {
  Result<std::string> path = readable_file("sslcert", value);
  if (!path)
    return std::move(path).error();
  draft.config.sslcert = std::move(path).value();
  return {};
}

Result<void> set_sslkey(ConfigDraft &draft, const char *value) {
  Result<std::string> path = readable_file("sslkey", value);
  if (!path)
    return std::move(path).error();
  draft.config.sslkey = std::move(path).value();
  return {};
}

Result<void> set_sslkey_password(ConfigDraft &draft, const char *value) {
  Result<std::string> secret = read_secret("sslkey-password", value);
  if (!secret)
    return std::move(secret).error();
  draft.config.sslkey_password = std::move(secret).value();
  return {};
}

} // namespace httpcache
