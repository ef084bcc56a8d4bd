// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "url.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>
#include <vector>

#include <curl/curl.h>
#include <fmt/format.h>

#include "ascii.h"
#include "redact.h"

namespace httpcache {

namespace {

struct CurluDeleter {
  void operator()(CURLU *handle) const { curl_url_cleanup(handle); }
};
using CurluHandle = std::unique_ptr<CURLU, CurluDeleter>;

// May C stand as it is in a path, a query or a fragment?  RFC 3986 and, as
// browsers have it, brackets: `?a[]=1`.
bool may_stand(char c) {
  constexpr std::string_view kMarks = "-._~!$&'()*+,;=:@/?#[]";
  return is_alnum(c) || kMarks.find(c) != kMarks.npos;
}

// One part of the URL; empty if it has none.
CURLUcode get(CURLU *handle, CURLUPart part, unsigned flags, std::string &out) {
  char *text = nullptr;
  CURLUcode code = curl_url_get(handle, part, &text, flags);
  if (code == CURLUE_OK) {
    std::unique_ptr<char, decltype(&curl_free)> owner(text, curl_free);
    out = text;
    return code;
  }
  out.clear();
  switch (code) {
  case CURLUE_NO_SCHEME:
  case CURLUE_NO_USER:
  case CURLUE_NO_PASSWORD:
  case CURLUE_NO_HOST:
  case CURLUE_NO_PORT:
  case CURLUE_NO_QUERY:
  case CURLUE_NO_ZONEID:
    return CURLUE_OK;
  default:
    return code;
  }
}

Error bad_url(std::string_view key, std::string_view text, std::string_view why) {
  return {ErrorKind::Permanent, EINVAL, 0,
          fmt::format("{}={}: {}", key, redact_url(text), why)};
}

// A '/' in a password ends the host early, a second '@' begins it late: errors
// that nobody could understand without being told.
// KEYS is what the keys user= and password= begin with.
std::string password_hint(std::string_view rest, std::string_view keys) {
  size_t at = rest.find('@');
  bool likely = at != rest.npos && (rest.find_first_of("/?#") < at ||
                                    rest.find('@', at + 1) != rest.npos);
  return likely ? fmt::format(" (in a password, write '@' as %40, '/' as %2F, '?' as %3F, "
                              "'#' as %23, or use {0}user= and {0}password=)",
                              keys)
                : "";
}

} // namespace

std::string percent_encode_url(std::string_view text) {
  size_t host = text.find("://");
  size_t begin = text.find_first_of("/?#", host == text.npos ? 0 : host + 3);
  if (begin == text.npos)
    return std::string(text);

  std::string out(text.substr(0, begin));
  for (size_t i = begin; i < text.size(); i++) {
    char c = text[i];
    bool escape = c == '%' && i + 2 < text.size() && is_hex(text[i + 1]) &&
                  is_hex(text[i + 2]);
    if (escape || may_stand(c))
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

Result<Url> parse_url(std::string_view text, std::string_view key) {
  // As it was copied from somewhere.
  constexpr std::string_view kSpace = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  text = text.substr(0, text.find_last_not_of(kSpace) + 1);
  if (text.empty())
    return bad_url(key, text, "the URL is empty");
  if (std::any_of(text.begin(), text.end(), is_control))
    return bad_url(key, text, "a URL may not hold control characters");

  size_t colon = text.find("://");
  if (colon == text.npos || colon == 0)
    return bad_url(key, text, "not a URL: it must begin with http:// or https://, "
                         "as https://example.com/disk.qcow2 does");
  std::string scheme = to_lower(text.substr(0, colon));
  if (scheme != "http" && scheme != "https")
    return bad_url(key, text, "only http:// and https:// URLs can be served");
  std::string_view rest = text.substr(colon + 3);
  if (rest.empty() || rest.find_first_of("/?#\\") == 0)
    return bad_url(key, text, "malformed: there is no host");

  CurluHandle handle(curl_url());
  if (!handle)
    return Error{ErrorKind::LocalIo, ENOMEM, 0, "out of memory"};
  CURLU *u = handle.get();
  CURLUcode code =
      curl_url_set(u, CURLUPART_URL, percent_encode_url(text).c_str(), 0);
  Url url;
  std::string port;
  auto next = [&](CURLUPart part, unsigned flags, std::string &out) {
    if (code == CURLUE_OK)
      code = get(u, part, flags, out);
  };
  next(CURLUPART_SCHEME, 0, url.scheme);
  next(CURLUPART_HOST, 0, url.host);
  next(CURLUPART_PORT, 0, port);
  next(CURLUPART_QUERY, 0, url.query);
  next(CURLUPART_USER, CURLU_URLDECODE, url.user);
  next(CURLUPART_PASSWORD, CURLU_URLDECODE, url.password);
  for (CURLUPart part : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS,
                         CURLUPART_FRAGMENT})
    if (code == CURLUE_OK)
      code = curl_url_set(u, part, nullptr, 0);
  next(CURLUPART_URL, 0, url.request);
  if (code == CURLUE_OUT_OF_MEMORY)
    return Error{ErrorKind::LocalIo, ENOMEM, 0, "out of memory"};
  if (code != CURLUE_OK)
    return bad_url(key, text, fmt::format("malformed: {}{}", curl_url_strerror(code),
                                     password_hint(rest, "")));
  // libcurl takes an '@' in an IPv6 address's zone, and reads it as user info later.
  std::string_view authority = std::string_view(url.request).substr(url.scheme.size() + 3);
  if (authority.substr(0, authority.find('/')).find('@') != authority.npos)
    return bad_url(key, text, "malformed: an '@' in the host");
  if (!port.empty() &&
      std::all_of(port.begin(), port.end(), [](char c) { return c == '0'; }))
    return bad_url(key, text, "malformed: port 0 cannot be connected to");
  return url;
}

bool same_origin(std::string_view a, std::string_view b) {
  auto origin = [](std::string_view text, std::string &out) {
    CurluHandle handle(curl_url());
    if (!handle || curl_url_set(handle.get(), CURLUPART_URL, std::string(text).c_str(), 0) !=
                       CURLUE_OK)
      return false;
    for (CURLUPart part :
         {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_ZONEID, CURLUPART_PORT}) {
      std::string piece;
      if (get(handle.get(), part, CURLU_DEFAULT_PORT, piece) != CURLUE_OK)
        return false;
      for (char c : piece)
        out += to_lower(c);
      out += ' ';
    }
    return true;
  };
  std::string origin_a, origin_b;
  return origin(a, origin_a) && origin(b, origin_b) && origin_a == origin_b;
}

std::string host_of(std::string_view url) {
  CurluHandle handle(curl_url());
  std::string host;
  if (!handle ||
      curl_url_set(handle.get(), CURLUPART_URL, std::string(url).c_str(), 0) != CURLUE_OK ||
      get(handle.get(), CURLUPART_HOST, 0, host) != CURLUE_OK)
    return "";
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  return to_lower(host);
}

std::string authority_of(std::string_view url) {
  CurluHandle handle(curl_url());
  std::string host, port;
  if (!handle ||
      curl_url_set(handle.get(), CURLUPART_URL, std::string(url).c_str(), 0) != CURLUE_OK ||
      get(handle.get(), CURLUPART_HOST, CURLU_PUNYCODE, host) != CURLUE_OK ||
      get(handle.get(), CURLUPART_PORT, CURLU_NO_DEFAULT_PORT, port) != CURLUE_OK)
    return "";
  return port.empty() ? host : host + ':' + port;
}

std::string resolve_reference(std::string_view base, std::string_view reference) {
  constexpr unsigned kAsFound = CURLU_URLENCODE | CURLU_ALLOW_SPACE | CURLU_NON_SUPPORT_SCHEME;
  CurluHandle handle(curl_url());
  CURLU *u = handle.get();
  std::string url;
  if (!handle || curl_url_set(u, CURLUPART_URL, std::string(base).c_str(), 0) != CURLUE_OK ||
      curl_url_set(u, CURLUPART_URL, std::string(reference).c_str(), kAsFound) != CURLUE_OK ||
      curl_url_set(u, CURLUPART_FRAGMENT, nullptr, 0) != CURLUE_OK ||
      get(u, CURLUPART_URL, 0, url) != CURLUE_OK)
    return "";
  return url;
}

namespace {

// TEXT with everything encoded but what may stand in a signed URL and KEPT.
std::string encode_to_sign(std::string_view text, std::string_view kept) {
  constexpr std::string_view kUnreserved = "-._~";
  std::string out;
  for (size_t i = 0; i < text.size(); i++) {
    char c = text[i];
    if (c == '%' && i + 2 < text.size() && is_hex(text[i + 1]) && is_hex(text[i + 2])) {
      auto digit = [](char d) { return is_digit(d) ? d - '0' : (d | 0x20) - 'a' + 10; };
      auto byte = static_cast<char>(digit(text[i + 1]) << 4 | digit(text[i + 2]));
      // An escape of what needs none is undone; one of '/' is not a '/'.
      if (is_alnum(byte) || kUnreserved.find(byte) != kUnreserved.npos)
        out += byte;
      else
        out += fmt::format("%{:02X}", static_cast<unsigned char>(byte));
      i += 2;
    } else if (is_alnum(c) || kUnreserved.find(c) != kUnreserved.npos ||
               kept.find(c) != kept.npos) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

} // namespace

std::string canonical_for_signing(std::string_view url) {
  size_t host = url.find("://");
  size_t begin = url.find_first_of("/?#", host == url.npos ? 0 : host + 3);
  if (begin == url.npos)
    return std::string(url);
  std::string_view rest = url.substr(begin, url.find('#') - begin);
  size_t mark = std::min(rest.find('?'), rest.size());
  std::string out(url.substr(0, begin));
  out += mark == 0 ? "/" : encode_to_sign(rest.substr(0, mark), "/");

  std::string_view query = rest.substr(std::min(mark + 1, rest.size()));
  std::vector<std::pair<std::string, std::string>> fields;
  while (!query.empty()) {
    std::string_view field = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(field.size() + 1, query.size()));
    if (field.empty())
      continue;
    size_t equals = std::min(field.find('='), field.size());
    fields.emplace_back(encode_to_sign(field.substr(0, equals), ""),
                        encode_to_sign(field.substr(std::min(equals + 1, field.size())), ""));
  }
  std::sort(fields.begin(), fields.end());
  char separator = '?';
  for (const auto &[name, value] : fields) {
    out += std::exchange(separator, '&');
    out += name;
    out += '=';
    out += value;
  }
  return out;
}

Result<ProxyUrl> parse_proxy(std::string_view text) {
  auto bad = [&](std::string_view why) {
    return Error{ErrorKind::Permanent, EINVAL, 0,
                 fmt::format("proxy={}: {}, for example proxy=http://proxy.example.com:3128",
                             redact_url(text), why),
                 {}};
  };
  if (std::any_of(text.begin(), text.end(), [](char c) { return is_control(c) || c == ' '; }))
    return bad("may hold neither blanks nor control characters");
  // "socks" is libcurl's other name of "socks4".
  constexpr std::array kSchemes = {"http",    "https",  "socks",  "socks4",
                                   "socks4a", "socks5", "socks5h"};
  size_t colon = text.find("://");
  std::string scheme = colon == text.npos ? "http" : to_lower(text.substr(0, colon));
  if (std::find(kSchemes.begin(), kSchemes.end(), scheme) == kSchemes.end())
    return bad("begins with none of http://, https://, socks4://, socks4a://, socks5:// and "
               "socks5h://");
  std::string_view rest = colon == text.npos ? text : text.substr(colon + 3);
  CurluHandle handle(curl_url());
  if (!handle)
    return Error{ErrorKind::LocalIo, ENOMEM, 0, "out of memory", {}};
  CURLU *u = handle.get();
  CURLUcode code = curl_url_set(u, CURLUPART_URL, fmt::format("{}://{}", scheme, rest).c_str(),
                                CURLU_NON_SUPPORT_SCHEME);
  ProxyUrl proxy;
  std::string host, port, path;
  auto next = [&](CURLUPart part, unsigned flags, std::string &out) {
    if (code == CURLUE_OK)
      code = get(u, part, flags, out);
  };
  next(CURLUPART_HOST, 0, host);
  next(CURLUPART_PORT, 0, port);
  next(CURLUPART_PATH, 0, path);
  next(CURLUPART_USER, CURLU_URLDECODE, proxy.user);
  next(CURLUPART_PASSWORD, CURLU_URLDECODE, proxy.password);
  if (code == CURLUE_OUT_OF_MEMORY)
    return Error{ErrorKind::LocalIo, ENOMEM, 0, "out of memory"};
  if (code != CURLUE_OK)
    return bad(fmt::format("malformed: {}{}", curl_url_strerror(code),
                           password_hint(rest, "proxy-")));
  if (host.empty() || (!path.empty() && path != "/") || rest.find_first_of("?#") != rest.npos)
    return bad("must be a scheme, a host and a port");
  proxy.request = fmt::format("{}://{}{}{}", scheme, host, port.empty() ? "" : ":", port);
  return proxy;
}

} // namespace httpcache
