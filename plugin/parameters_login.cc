// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// The setters of parameters.h that say who the user is.

#include "parameters.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "ascii.h"
#include "config_values.h"
#include "header_line.h"
#include "redact.h"

namespace httpcache {

namespace {

// A secret that becomes part of a header.  Its text stays out of messages.
Result<std::string> one_line_secret(std::string_view key, const char *value) {
  Result<std::string> secret = read_secret(key, value);
  if (!secret)
    return secret;
  if (secret.value().empty())
    return config_error(fmt::format("{}=***: is empty", key));
  if (has_control(secret.value()))
    return config_error(
        fmt::format("{}=***: may not hold line ends or other control characters", key));
  return secret;
}

Result<void> add_header(ConfigDraft &draft, std::string_view text) {
  std::string_view name = header_name(text);
  if (std::string_view why = why_no_header(text); !why.empty()) {
    // The value stays out of every message, and what may be one.
    bool named = is_header_name(name) && text.substr(name.size()).starts_with(':');
    return config_error(fmt::format("header={}***: {}, for example header='Accept-Language: en'",
                                    named ? fmt::format("{}:", name) : "", why));
  }
  register_header(name, header_value(text));
  draft.config.headers.emplace_back(text);
  return {};
}

Result<void> take_script(ConfigDraft &draft, std::string_view key, const char *value,
                         std::string &script) {
  if (trim(value).empty())
    return config_error(fmt::format("{}=: the command is missing", key));
  script = value;
  // nbdkit goes to / in the background, but what one writes is meant from here.
  std::error_code unknown;
  draft.config.folder = std::filesystem::current_path(unknown).string();
  return {};
}

Result<void> take_renew(std::string_view key, const char *value, uint32_t &renew_s) {
  Result<uint64_t> number = parse_number(key, value, 0, kMaxRenewS, "seconds");
  if (!number) {
    number.error().what += "; 0 runs the script again only when the server refuses";
    return std::move(number).error();
  }
  renew_s = static_cast<uint32_t>(number.value());
  return {};
}

// The file of logins of whoever runs nbdkit; empty if nobody knows.
std::string home_netrc() {
  const char *home = getenv("HOME");
  if (home == nullptr || *home == '\0') {
    const passwd *user = getpwuid(geteuid());
    home = user != nullptr ? user->pw_dir : nullptr;
  }
  return home == nullptr ? "" : fmt::format("{}/.netrc", home);
}

} // namespace

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

Result<void> set_bearer_token(ConfigDraft &draft, const char *value) {
  Result<std::string> secret = one_line_secret("bearer-token", value);
  if (!secret)
    return std::move(secret).error();
  if (to_lower(secret.value().substr(0, 7)) == "bearer ")
    return config_error("bearer-token=***: must be the token alone, without the word Bearer");
  draft.config.bearer_token = std::move(secret).value();
  return {};
}

Result<void> set_cookie(ConfigDraft &draft, const char *value) {
  Result<std::string> secret = one_line_secret("cookie", value);
  if (!secret)
    return std::move(secret).error();
  if (std::string_view why = why_no_cookie(secret.value()); !why.empty())
    return config_error(fmt::format("cookie=***: {}", why));
  draft.config.cookie = std::move(secret).value();
  register_header("Cookie", draft.config.cookie); // its single values, too
  return {};
}

Result<void> set_cookiefile(ConfigDraft &draft, const char *value) {
  if (*value == '\0') {
    draft.config.cookiefile = "";
    return {};
  }
  Result<std::string> path = readable_file("cookiefile", value);
  if (!path)
    return std::move(path).error();
  draft.config.cookiefile = std::move(path).value();
  return {};
}

// It need not be there yet.  That it can be written is found out now, when
// somebody can do something about it.
Result<void> set_cookiejar(ConfigDraft &draft, const char *value) {
  if (*value == '\0' || std::string_view(value) == "-")
    return bad_value("cookiejar", value, "the name of a file is missing");
  Result<std::string> path = absolute_path("cookiejar", value);
  if (!path)
    return std::move(path).error();
  const std::string &name = path.value();
  struct stat st = {};
  if (::stat(name.c_str(), &st) == 0) {
    if (!S_ISREG(st.st_mode))
      return bad_value("cookiejar", value,
                       "is no ordinary file; to keep cookies only while nbdkit runs use "
                       "cookiefile=");
    if (::access(name.c_str(), R_OK | W_OK) != 0)
      return bad_value("cookiejar", value, strerror(errno));
  }
  std::string folder = name.substr(0, std::max<size_t>(1, name.rfind('/')));
  if (::access(folder.c_str(), W_OK | X_OK) != 0)
    return bad_value("cookiejar", value,
                     fmt::format("no file can be made in {}: {}", folder, strerror(errno)));
  draft.config.cookiejar = std::move(path).value();
  return {};
}

// header=+FILE: one header a line, as curl -H @FILE has it.
Result<void> set_header(ConfigDraft &draft, const char *value) {
  if (*value != '+')
    return add_header(draft, value);
  Result<std::string> path = readable_file("header", value + 1);
  if (!path)
    return std::move(path).error();
  Result<std::string> text = contents_of("header", path.value());
  if (!text)
    return std::move(text).error();
  std::string_view rest = text.value();
  for (unsigned number = 1; !rest.empty(); ++number) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.ends_with('\r'))
      line.remove_suffix(1);
    if (trim(line).empty() || line.starts_with('#'))
      continue;
    if (Result<void> added = add_header(draft, line); !added)
      return std::move(added.error().add_context(
          fmt::format("header=+{} line {}", path.value(), number)));
  }
  return {};
}

Result<void> set_header_script(ConfigDraft &draft, const char *value) {
  return take_script(draft, "header-script", value, draft.config.header_script);
}

Result<void> set_header_script_renew(ConfigDraft &draft, const char *value) {
  return take_renew("header-script-renew", value, draft.config.header_script_renew_s);
}

Result<void> set_cookie_script(ConfigDraft &draft, const char *value) {
  return take_script(draft, "cookie-script", value, draft.config.cookie_script);
}

Result<void> set_cookie_script_renew(ConfigDraft &draft, const char *value) {
  return take_renew("cookie-script-renew", value, draft.config.cookie_script_renew_s);
}

Result<void> set_netrc(ConfigDraft &draft, const char *value) {
  std::string word = to_lower(value);
  if (word == "false" || word == "off" || word == "no" || word == "0") {
    draft.config.netrc.reset();
    return {};
  }
  std::string home;
  if (word == "true" || word == "on" || word == "yes" || word == "1") {
    home = home_netrc();
    if (home.empty())
      return bad_value("netrc", value, "there is no home folder; name the file: netrc=FILE");
    value = home.c_str();
  }
  Result<std::string> path = readable_file("netrc", value);
  if (!path)
    return std::move(path).error();
  Result<std::string> text = contents_of("netrc", path.value());
  if (!text)
    return std::move(text).error();
  Result<Netrc> netrc = Netrc::parse(text.value());
  if (!netrc)
    return std::move(netrc.error().add_context(fmt::format("netrc={}", path.value())));
  for (const Netrc::Entry &entry : netrc.value().entries())
    register_login(entry.login, entry.password);
  draft.config.netrc = std::move(netrc).value();
  return {};
}

Result<void> set_aws_sigv4(ConfigDraft &draft, const char *value) {
  std::string_view text = value;
  auto parts = std::count(text.begin(), text.end(), ':') + 1;
  bool words = !text.empty() && !text.starts_with(':') && !text.ends_with(':') &&
               text.find("::") == text.npos &&
               std::all_of(text.begin(), text.end(), [](char c) {
                 return is_alnum(c) || c == ':' || c == '-' || c == '_' || c == '.';
               });
  if (!words || parts > 4)
    return bad_value("aws-sigv4", value,
                     "must be PROVIDER1[:PROVIDER2[:REGION[:SERVICE]]], such as "
                     "aws:amz:us-east-1:s3");
  draft.config.aws_sigv4 = text;
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
