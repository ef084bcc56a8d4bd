// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "http_cookies.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string_view>
#include <utility>

#include <curl/curl.h>
#include <fmt/format.h>

#include "ascii.h"
#include "config_values.h"
#include "http_errors.h"
#include "log.h"
#include "unique_fd.h"
#include "url.h"

namespace httpcache {

namespace {

CURL *as_easy(void *p) { return static_cast<CURL *>(p); }

// Netscape's format: domain, whether subdomains too, path, https only, expiry,
// name and value, with tabs between.
std::string_view value_of(std::string_view line) {
  size_t tab = line.rfind('\t');
  return tab == line.npos ? std::string_view() : line.substr(tab + 1);
}

constexpr std::string_view kSetCookie = "set-cookie:";

// Does a line that begins with Set-Cookie: say for which host it is?
bool names_domain(std::string_view line) {
  for (size_t at = line.find(';'); at != line.npos; at = line.find(';', at + 1))
    if (to_lower(trim(line.substr(at + 1))).starts_with("domain="))
      return true;
  return false;
}

struct CurlDeleter {
  void operator()(CURL *easy) const { curl_easy_cleanup(easy); }
};

std::vector<std::string> cookies_of(CURL *easy) {
  curl_slist *list = nullptr;
  if (curl_easy_getinfo(easy, CURLINFO_COOKIELIST, &list) != CURLE_OK)
    throw std::bad_alloc();
  std::unique_ptr<curl_slist, void (*)(curl_slist *)> owner(list, curl_slist_free_all);
  std::vector<std::string> lines;
  for (const curl_slist *each = list; each != nullptr; each = each->next)
    lines.emplace_back(each->data);
  return lines;
}

// LINE, which begins with Set-Cookie: and names no host, as the cookie of HOST alone that
// it is (RFC 6265 5.3), in Netscape's format.  libcurl takes it only with a domain, and
// then for subdomains as well, unless it is an address.  Empty: none, or it has expired.
Result<std::string> of_host_alone(const std::string &line, std::string_view host) {
  constexpr std::string_view kAddress = "127.0.0.1";
  std::unique_ptr<CURL, CurlDeleter> easy(curl_easy_init());
  std::string text = fmt::format("{}; domain={}", line, kAddress);
  if (!easy || curl_easy_setopt(easy.get(), CURLOPT_COOKIELIST, text.c_str()) != CURLE_OK)
    return no_memory("curl_easy_setopt");
  std::vector<std::string> cookies = cookies_of(easy.get());
  if (cookies.empty())
    return std::string();
  std::string cookie = std::move(cookies.front());
  return cookie.replace(cookie.find(kAddress), kAddress.size(), host);
}

// Empty, or with the heading of such files, or cookies alone.
Result<bool> may_be_jar(const std::string &path) {
  Result<std::string> text = contents_of("cookiejar", path);
  if (!text)
    return std::move(text).error();
  std::string_view rest = text.value();
  std::string heading = to_lower(rest.substr(0, 100));
  if (heading.starts_with("# netscape http cookie file") ||
      heading.starts_with("# http cookie file"))
    return true;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find_first_of("\r\n"));
    rest.remove_prefix(std::min(rest.find('\n'), rest.size() - 1) + 1);
    bool cookie = std::count(line.begin(), line.end(), '\t') == 6 ||
                  to_lower(line).starts_with(kSetCookie);
    if (!cookie && !trim(line).empty() && !line.starts_with('#'))
      return false;
  }
  return true;
}

} // namespace

Result<std::unique_ptr<HttpCookies>> HttpCookies::create(const Config &config, void *share) {
  if (!config.cookiefile && config.cookiejar.empty())
    return std::unique_ptr<HttpCookies>();
  std::unique_ptr<HttpCookies> cookies(new HttpCookies(config));
  if (Result<void> ok = cookies->load(config, share); !ok)
    return std::move(ok).error();
  return cookies;
}

Result<void> HttpCookies::load(const Config &config, void *share) {
  if (curl_share_setopt(static_cast<CURLSH *>(share), CURLSHOPT_SHARE, CURL_LOCK_DATA_COOKIE) !=
      CURLSHE_OK)
    return no_memory("curl_share_setopt");
  easy_ = curl_easy_init();
  if (easy_ == nullptr)
    return no_memory("curl_easy_init");
  bool ok = true;
  auto set = [&](CURLoption option, auto value) {
    ok = curl_easy_setopt(as_easy(easy_), option, value) == CURLE_OK && ok;
  };
  set(CURLOPT_SHARE, static_cast<CURLSH *>(share));
  // Read here: libcurl shows no cookie without a domain, and 7.88 sends it to all hosts
  // that are addresses and to no others.
  auto read = [&](std::string_view key, const std::string &path) -> Result<void> {
    Result<std::string> text = contents_of(key, path);
    if (!text)
      return std::move(text).error();
    std::string_view rest = text.value();
    while (!rest.empty()) {
      std::string line(trim(rest.substr(0, rest.find_first_of("\r\n"))));
      rest.remove_prefix(std::min(rest.find('\n'), rest.size() - 1) + 1);
      bool header = to_lower(line).starts_with(kSetCookie);
      if (header && !names_domain(line)) {
        Result<std::string> cookie = of_host_alone(line, host_of(config.url));
        if (!cookie)
          return std::move(cookie).error();
        line = std::move(cookie).value();
      }
      if (!line.empty() && (header || line.find('\t') != line.npos))
        set(CURLOPT_COOKIELIST, line.c_str());
    }
    return {};
  };
  bool has_file = config.cookiefile && !config.cookiefile->empty();
  if (has_file)
    if (Result<void> done = read("cookiefile", *config.cookiefile); !done)
      return done;
  if (has_file && lines().empty())
    warning(fmt::format("cookiefile={}: there is no cookie in it that has not expired; it must be "
                        "in Netscape's format, or have lines that begin with Set-Cookie:",
                        escape_controls(*config.cookiefile)));
  if (!jar_.empty() && access(jar_.c_str(), F_OK) == 0) {
    Result<bool> good = may_be_jar(jar_);
    if (!good)
      return std::move(good).error();
    if (!good.value())
      return Error{ErrorKind::Permanent, EINVAL, 0,
                   fmt::format("cookiejar={}: is a file of something else, and would be lost: name "
                               "a new one, or one of cookies",
                               escape_controls(jar_)),
                   {}};
    if (Result<void> done = read("cookiejar", jar_); !done)
      return done;
  }
  for (const std::string &line : lines())
    register_secret(std::string(value_of(line)));
  if (!ok)
    return no_memory("curl_easy_setopt");
  loaded_ = true;
  return {};
}

std::vector<std::string> HttpCookies::lines() const { return cookies_of(as_easy(easy_)); }

// What went wrong; empty: nothing.
std::string HttpCookies::write_jar() const {
  std::string text = "# Netscape HTTP Cookie File\n"
                     "# Written by nbdkit-httpcache-plugin; keep it secret.\n\n";
  for (const std::string &line : lines())
    text += line + '\n';
  // A new file of a name that nobody knew: none that another has laid there to be filled.
  std::string draft = jar_ + ".XXXXXX";
  UniqueFd fd(mkostemp(draft.data(), O_CLOEXEC));
  if (!fd)
    return fmt::format("{}: {}", draft, strerror(errno));
  std::string_view rest = text;
  while (!rest.empty()) {
    ssize_t written = write(fd.get(), rest.data(), rest.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0) {
      std::string why = fmt::format("{}: {}", draft, strerror(errno));
      unlink(draft.c_str());
      return why;
    }
    rest.remove_prefix(static_cast<size_t>(written));
  }
  if (rename(draft.c_str(), jar_.c_str()) != 0) {
    std::string why = strerror(errno);
    unlink(draft.c_str());
    return why;
  }
  return "";
}

HttpCookies::~HttpCookies() {
  if (easy_ == nullptr)
    return;
  try {
    std::string why = jar_.empty() || !loaded_ ? "" : write_jar();
    if (!why.empty())
      warning(fmt::format("cookiejar={}: the cookies could not be written: {}",
                          escape_controls(jar_), escape_controls(why)));
  } catch (const std::exception &) { // no memory: the old jar stays
  }
  curl_easy_cleanup(as_easy(easy_));
}

} // namespace httpcache
