// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// The setters of parameters.h that say which way leads to the server, and how
// far it is trusted.

#include "parameters.h"

#include <arpa/inet.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "ascii.h"
#include "config_values.h"
#include "redact.h"
#include "url.h"

namespace httpcache {

namespace {

Result<void> set_bool(bool &setting, std::string_view key, const char *value) {
  Result<bool> boolean = parse_bool(key, value);
  if (!boolean)
    return std::move(boolean).error();
  setting = boolean.value();
  return {};
}

// A file of certificates, or none at all if VALUE is empty.
Result<void> set_ca_file(std::optional<std::string> &setting, std::string_view key,
                         std::string_view folder_key, const char *value) {
  if (*value == '\0') {
    setting = "";
    return {};
  }
  struct stat st = {};
  if (::stat(value, &st) == 0 && S_ISDIR(st.st_mode))
    return bad_value(key, value,
                     fmt::format("is a folder; a folder of certificates is given as {}=",
                                 folder_key));
  Result<std::string> path = readable_file(key, value);
  if (!path)
    return std::move(path).error();
  setting = std::move(path).value();
  return {};
}

Result<void> set_ca_folder(std::optional<std::string> &setting, std::string_view key,
                           std::string_view file_key, const char *value) {
  if (*value == '\0') {
    setting = "";
    return {};
  }
  Result<std::string> path = existing_folder(key, value);
  if (!path) {
    if (path.error().what.ends_with("is no folder"))
      path.error().what += fmt::format("; a file of certificates is given as {}=", file_key);
    return std::move(path).error();
  }
  setting = std::move(path).value();
  return {};
}

Result<void> set_ciphers(std::string &setting, std::string_view key, const char *value) {
  std::string_view text = value;
  // As OpenSSL has them; which there are only libcurl's TLS library knows.
  bool likely = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    constexpr std::string_view kMarks = ":-_+!@=,.";
    return is_alnum(c) || kMarks.find(c) != kMarks.npos;
  });
  if (!likely)
    return bad_value(key, value, "must be names of ciphers with ':' between them");
  setting = text;
  return {};
}

bool is_address(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']'))
    text = text.substr(1, text.size() - 2);
  in6_addr address;
  std::string name(text);
  return inet_pton(AF_INET, name.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, name.c_str(), &address) == 1;
}

} // namespace

Result<void> set_sslverify(ConfigDraft &draft, const char *value) {
  return set_bool(draft.config.sslverify, "sslverify", value);
}

Result<void> set_tcp_keepalive(ConfigDraft &draft, const char *value) {
  return set_bool(draft.config.tcp_keepalive, "tcp-keepalive", value);
}

Result<void> set_tcp_nodelay(ConfigDraft &draft, const char *value) {
  return set_bool(draft.config.tcp_nodelay, "tcp-nodelay", value);
}

Result<void> set_cainfo(ConfigDraft &draft, const char *value) {
  return set_ca_file(draft.config.cainfo, "cainfo", "capath", value);
}

Result<void> set_capath(ConfigDraft &draft, const char *value) {
  return set_ca_folder(draft.config.capath, "capath", "cainfo", value);
}

Result<void> set_proxy_cainfo(ConfigDraft &draft, const char *value) {
  return set_ca_file(draft.config.proxy_cainfo, "proxy-cainfo", "proxy-capath", value);
}

Result<void> set_proxy_capath(ConfigDraft &draft, const char *value) {
  return set_ca_folder(draft.config.proxy_capath, "proxy-capath", "proxy-cainfo", value);
}

// The names are nbdkit-curl-plugin's.  SSL 2 and 3, which it names too, libcurl
// refuses.
Result<void> set_ssl_version(ConfigDraft &draft, const char *value) {
  struct Name {
    std::string_view name;
    TlsVersion least, most;
  };
  using enum TlsVersion;
  constexpr std::array kNames = {
      Name{"default", Any, Any},       Name{"tlsv1", V1_0, Any},
      Name{"tlsv1.0", V1_0, Any},      Name{"tlsv1.1", V1_1, Any},
      Name{"tlsv1.2", V1_2, Any},      Name{"tlsv1.3", V1_3, Any},
      Name{"max-default", Any, Any},   Name{"max-tlsv1.0", Any, V1_0},
      Name{"max-tlsv1.1", Any, V1_1},  Name{"max-tlsv1.2", Any, V1_2},
      Name{"max-tlsv1.3", Any, V1_3},
  };
  for (const Name &each : kNames)
    if (each.name == value) {
      draft.config.tls_min = each.least;
      draft.config.tls_max = each.most;
      return {};
    }
  return bad_value("ssl-version", value,
                   "must be default, or tlsv1.0 to tlsv1.3, or max-tlsv1.0 to max-tlsv1.3");
}

Result<void> set_ssl_cipher_list(ConfigDraft &draft, const char *value) {
  return set_ciphers(draft.config.ssl_cipher_list, "ssl-cipher-list", value);
}

Result<void> set_tls13_ciphers(ConfigDraft &draft, const char *value) {
  return set_ciphers(draft.config.tls13_ciphers, "tls13-ciphers", value);
}

Result<void> set_proxy(ConfigDraft &draft, const char *value) {
  draft.proxy_url_user.clear();
  draft.proxy_url_password.clear();
  if (*value == '\0') {
    draft.config.proxy = "";
    return {};
  }
  Result<ProxyUrl> proxy = parse_proxy(value);
  if (!proxy)
    return std::move(proxy).error();
  register_login(proxy.value().user, proxy.value().password);
  draft.config.proxy = std::move(proxy.value().request);
  draft.proxy_url_user = std::move(proxy.value().user);
  draft.proxy_url_password = std::move(proxy.value().password);
  return {};
}

Result<void> set_proxy_user(ConfigDraft &draft, const char *value) {
  if (strchr(value, ':') != nullptr)
    return config_error("proxy-user=***: a user name cannot hold ':'; the password is given as "
                        "proxy-password=");
  draft.config.proxy_user = value;
  return {};
}

Result<void> set_proxy_password(ConfigDraft &draft, const char *value) {
  Result<std::string> secret = read_secret("proxy-password", value);
  if (!secret)
    return std::move(secret).error();
  draft.config.proxy_password = std::move(secret).value();
  return {};
}

// libcurl takes no notice of what it does not understand.
Result<void> set_mirror(ConfigDraft &draft, const char *value) {
  Result<Url> url = parse_url(value, "mirror");
  if (!url)
    return std::move(url).error();
  register_query(url.value().query);
  if (!url.value().user.empty() || !url.value().password.empty())
    return bad_value("mirror", redact_url(value),
                     "must have no user name and password; netrc= takes a mirror's, and user= "
                     "and password= are those of url=");
  if (draft.config.mirrors.size() == kMaxMirrors)
    return bad_value("mirror", redact_url(value),
                     fmt::format("is one too many; {} are the most", kMaxMirrors));
  draft.config.mirrors.push_back(std::move(url).value().request);
  return {};
}

Result<void> set_resolve(ConfigDraft &draft, const char *value) {
  std::string_view text = value;
  auto bad = [&](std::string_view why) {
    return bad_value("resolve", value,
                     fmt::format("{}; it must be HOST:PORT:ADDRESS, such as "
                                 "example.com:443:192.0.2.7 (several addresses with ',' between)",
                                 why));
  };
  size_t host = std::min(text.find(':'), text.size());
  size_t port = std::min(text.find(':', host + 1), text.size());
  if (port == text.size())
    return bad("there are fewer than three parts");
  if (host == 0 || text.starts_with('-') || text.starts_with('+'))
    return bad("there is no host");
  std::string number(text.substr(host + 1, port - host - 1));
  bool is_port = !number.empty() && number.size() <= 5 &&
                 std::all_of(number.begin(), number.end(), is_digit);
  if (!is_port || std::stoul(number) < 1 || std::stoul(number) > 65535)
    return bad("the port must be a number from 1 to 65535");
  std::string_view addresses = text.substr(port + 1);
  for (size_t comma = 0; comma != addresses.npos;) {
    comma = addresses.find(',');
    std::string_view address = addresses.substr(0, comma);
    addresses.remove_prefix(std::min(address.size() + 1, addresses.size()));
    if (!is_address(address))
      return bad(fmt::format("'{}' is no IP address", escape_controls(address)));
  }
  draft.config.resolve.emplace_back(text);
  return {};
}

Result<void> set_ipresolve(ConfigDraft &draft, const char *value) {
  std::string_view name = value;
  // nbdkit-curl-plugin takes the second names, too, though its manual has them not.
  if (name == "any" || name == "whatever")
    draft.config.ip_version = IpVersion::Any;
  else if (name == "v4" || name == "4")
    draft.config.ip_version = IpVersion::V4;
  else if (name == "v6" || name == "6")
    draft.config.ip_version = IpVersion::V6;
  else
    return bad_value("ipresolve", value, "must be any, v4 or v6");
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
                    escape_controls(path.value()), path.value().size(), kMost));
  // It need not be there yet, but must be nothing else.
  struct stat st = {};
  if (::stat(path.value().c_str(), &st) == 0 && !S_ISSOCK(st.st_mode))
    return bad_value("unix-socket-path", value, "is no Unix socket");
  draft.config.unix_socket_path = std::move(path).value();
  return {};
}

} // namespace httpcache
