// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "redact.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "ascii.h"
#include "mutex.h"

namespace httpcache {

namespace {

constexpr std::string_view kHidden = "***";
constexpr size_t kMinSecretBytes = 4;
// Of what may be an ordinary word: `true`, `no-cache`.
constexpr size_t kLongSecretBytes = 8;

struct Secret {
  std::string text;
  size_t holders; // whoever registers for good counts, too
};

// What the user gave as secret, or a script.  Written by config and by the engine, read
// by all threads.
struct Secrets {
  Mutex mu;
  std::vector<Secret> texts GUARDED_BY(mu);        // longest first
  std::vector<std::string> headers GUARDED_BY(mu); // lower case
};
Secrets secrets;

std::string_view strip(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || is_control(text.front())))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || is_control(text.back())))
    text.remove_suffix(1);
  return text;
}

// The bytes of the UTF-8 character TEXT begins with; 0 if it is none, or one
// of the C1 controls, which some terminals obey.
size_t utf8_length(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  size_t length = 0;
  uint32_t point = 0;
  if (byte(0) >= 0xc2 && byte(0) <= 0xdf) {
    length = 2;
    point = byte(0) & 0x1fU;
  } else if (byte(0) >= 0xe0 && byte(0) <= 0xef) {
    length = 3;
    point = byte(0) & 0x0fU;
  } else if (byte(0) >= 0xf0 && byte(0) <= 0xf4) {
    length = 4;
    point = byte(0) & 0x07U;
  }
  if (length == 0 || text.size() < length)
    return 0;
  for (size_t i = 1; i < length; i++) {
    if ((byte(i) & 0xc0U) != 0x80)
      return 0;
    point = (point << 6) | (byte(i) & 0x3fU);
  }
  constexpr std::array<uint32_t, 5> kLeast = {0, 0, 0xa0, 0x800, 0x10000};
  if (point < kLeast[length] || point > 0x10ffff ||
      (point >= 0xd800 && point <= 0xdfff))
    return 0;
  return length;
}

// Could TEXT, what stands before the first '/', be host[:port]?  If not, an
// '@' further on may still belong to user info with a raw '/' in it.
bool plausible_host(std::string_view text) {
  if (!text.empty() && text.front() == '[') {
    size_t end = text.find(']');
    if (end == text.npos)
      return false;
    text.remove_prefix(end + 1);
    if (text.empty())
      return true;
    if (text.front() != ':')
      return false;
  }
  size_t colon = text.find(':');
  return colon == text.npos ||
         std::all_of(text.begin() + static_cast<ptrdiff_t>(colon) + 1,
                     text.end(), is_digit);
}

bool is_scheme(std::string_view text) {
  return !text.empty() && is_alpha(text.front()) &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return is_alnum(c) || c == '+' || c == '-' || c == '.';
         });
}

std::string redact_url_unescaped(std::string_view url) {
  url = strip(url);
  bool cut = false;
  bool at_behind = false; // then the cut may be in user info with a raw '?' or '#' in it
  size_t end = url.find_first_of("?#");
  if (end != url.npos) {
    at_behind = url.find('@', end) != url.npos;
    url = url.substr(0, end);
    cut = true;
  }

  std::string out;
  size_t colon = url.find("://");
  if (colon != url.npos && is_scheme(url.substr(0, colon))) {
    out = url.substr(0, colon + 3);
    url.remove_prefix(colon + 3);
    size_t slash = std::min(url.find('/'), url.size());
    size_t at = url.substr(0, slash).rfind('@');
    if (at != url.npos)
      url.remove_prefix(at + 1);
    else if (!plausible_host(url.substr(0, slash))) {
      if ((at = url.rfind('@')) != url.npos)
        url.remove_prefix(at + 1);
      else if (at_behind)
        url = {};
    }
  } else if (size_t at = url.rfind('@'); at != url.npos) {
    // No URL, or what is left of one.  An absolute path may have its '@', but
    // user:password@ is more likely.
    bool path = url.starts_with('/') && !url.starts_with("//") &&
                url.substr(0, at).find(':') == url.npos;
    if (!path)
      url.remove_prefix(at + 1);
  } else if (at_behind && url.find(':') != url.npos &&
             (!url.starts_with('/') || url.starts_with("//"))) {
    url = {};
  }
  out += url;
  if (cut)
    out += "?...";
  return out;
}

// What may be shown of the value of header LOWER_NAME.
std::string shown_value(std::string_view lower_name, std::string_view value);

void replace_all(std::string &text, std::string_view what,
                 std::string_view with) {
  for (size_t at = 0; (at = text.find(what, at)) != text.npos;
       at += with.size())
    text.replace(at, what.size(), with);
}

std::string hide_secrets(std::string text) {
  MutexLock lock(secrets.mu);
  for (const Secret &secret : secrets.texts)
    replace_all(text, secret.text, kHidden);
  return text;
}

bool ends_word(char c) {
  return c == ' ' || c == '"' || c == '\'' || c == '<' || c == '>' ||
         is_control(c);
}

// Words that are URLs, or paths with a query.
std::string redact_words(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    size_t end = 0;
    while (end < text.size() && !ends_word(text[end]))
      end++;
    if (end == 0) {
      out += text.front();
      text.remove_prefix(1);
      continue;
    }
    std::string_view word = text.substr(0, end);
    text.remove_prefix(end);
    size_t colon = word.find("://");
    if (colon != word.npos) {
      // Something may stick to the scheme: `url=https://...`, `(https://...`.
      size_t begin = colon;
      while (begin > 0 && is_scheme(word.substr(begin - 1, 1)))
        begin--;
      out += redact_url_unescaped(word.substr(0, begin));
      out += redact_url_unescaped(word.substr(begin));
    } else if (word.find('?') != word.npos && word.find('/') != word.npos) {
      out += redact_url_unescaped(word);
    } else {
      out += word;
    }
  }
  return out;
}

// `Added cookie NAME="VALUE" for domain`, as curl tells of each that it keeps.
std::string_view cookie_value(std::string_view text) {
  size_t word = text.find(" cookie ");
  size_t open = word == text.npos ? text.npos : text.find("=\"", word);
  size_t close = open == text.npos ? text.npos : text.rfind('"');
  return close == text.npos || close < open + 2 ? std::string_view()
                                                : text.substr(open + 2, close - open - 2);
}

// "[name: value]", as curl shows the header fields of HTTP/2.
std::string redact_brackets(std::string_view text) {
  std::string out;
  size_t open = 0;
  while ((open = text.find('[')) != text.npos) {
    std::string_view inner = text.substr(open + 1);
    size_t colon = inner.find(": ");
    // The value may hold brackets; the last one on the line closes the field.
    size_t close = inner.rfind(']');
    if (colon == inner.npos || close == inner.npos || close < colon ||
        inner.substr(0, colon).find_first_of(" []\"") != inner.npos) {
      out += redact_words(text.substr(0, open + 1));
      text.remove_prefix(open + 1);
      continue;
    }
    std::string_view name = inner.substr(0, colon);
    out += redact_words(text.substr(0, open + 1));
    out += name;
    out += ": ";
    out +=
        shown_value(to_lower(name), inner.substr(colon + 2, close - colon - 2));
    out += ']';
    text.remove_prefix(open + 1 + close + 1);
  }
  return out + redact_words(text);
}

std::string shown_value(std::string_view lower_name, std::string_view value) {
  if (is_secret_header(lower_name))
    return std::string(kHidden);
  for (std::string_view name : {"location", "content-location", "referer",
                                "link", "refresh", "origin", ":path"})
    if (lower_name == name)
      return redact_url_unescaped(value);
  return redact_words(value);
}

// "GET /path?query HTTP/1.1"
bool is_request_line(std::string_view line) {
  size_t space = line.find(' ');
  return space != line.npos && space > 0 &&
         std::all_of(line.begin(), line.begin() + static_cast<ptrdiff_t>(space),
                     is_upper);
}

std::string base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < text.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; j++)
      bits =
          bits << 8 |
          (i + j < text.size() ? static_cast<unsigned char>(text[i + j]) : 0U);
    for (size_t j = 0; j < 4; j++)
      out += i + j > text.size() ? '=' : kDigits[bits >> (18 - 6 * j) & 63U];
  }
  return out;
}

// Calls TAKE with each part of TEXT between SEPARATORS that has LEAST bytes or more.
template <typename F>
void for_parts(std::string_view text, std::string_view separators, size_t least, F &&take) {
  while (!text.empty()) {
    size_t end = std::min(text.find_first_of(separators), text.size());
    if (end >= least)
      take(std::string(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// Of the value of a header, or of what a script printed: words, a list, JSON.
template <typename F> void for_parts_of_value(std::string_view value, F &&take) {
  value = strip(value);
  if (value.size() >= kLongSecretBytes)
    take(std::string(value));
  for_parts(value, " ;,=", kLongSecretBytes, take);
  for_parts(value, " \t;,=:\"'{}[]()", kLongSecretBytes, take);
}

void register_header_name(std::string_view name) {
  std::string low = to_lower(name);
  MutexLock lock(secrets.mu);
  auto &headers = secrets.headers;
  if (std::find(headers.begin(), headers.end(), low) == headers.end())
    headers.push_back(std::move(low));
}

} // namespace

std::string escape_controls(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    char c = text.front();
    size_t length = 1;
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (!is_control(c) && static_cast<unsigned char>(c) < 0x80) {
      out += c;
    } else if (size_t utf8 = is_control(c) ? 0 : utf8_length(text); utf8 > 0) {
      out += text.substr(0, utf8);
      length = utf8;
    } else {
      constexpr std::string_view kHex = "0123456789abcdef";
      auto byte = static_cast<unsigned char>(c);
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15U];
    }
    text.remove_prefix(length);
  }
  return out;
}

std::string redact_url(std::string_view url) {
  return escape_controls(redact_url_unescaped(url));
}

std::string redact_text(std::string_view text) {
  std::string shown(text);
  if (std::string_view value = cookie_value(text); !value.empty())
    shown.replace(static_cast<size_t>(value.data() - text.data()), value.size(), kHidden);
  // Secrets first, whole, before the cutting of URLs could leave a part.
  return escape_controls(redact_brackets(hide_secrets(std::move(shown))));
}

std::string redact_header_line(std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n'))
    line.remove_suffix(1);

  std::string out;
  if (line.starts_with(' ') || line.starts_with('\t')) {
    out = " "; // folded: the value goes on, of a header that is not known here
    out += kHidden;
  } else if (line.starts_with("HTTP/")) {
    out = redact_words(line);
  } else if (is_request_line(line)) {
    size_t space = line.find(' ');
    size_t end = line.rfind(" HTTP/");
    if (end == line.npos || end < space + 1)
      end = line.size();
    out = line.substr(0, space + 1);
    out += redact_url_unescaped(line.substr(space + 1, end - space - 1));
    out += line.substr(end);
  } else if (size_t colon = line.find(':', 1); colon != line.npos) {
    // From 1: HTTP/2's own fields begin with a colon.
    out = line.substr(0, colon + 1);
    std::string_view value = strip(line.substr(colon + 1));
    if (!value.empty()) {
      out += ' ';
      out += shown_value(to_lower(strip(line.substr(0, colon))), value);
    }
  } else {
    out = redact_words(line);
  }
  return escape_controls(hide_secrets(std::move(out)));
}

bool is_secret_header(std::string_view name) {
  std::string low = to_lower(name);
  for (std::string_view part :
       {"authoriz", "x-auth", "cookie", "token", "key", "secret", "passw",
        "signature", "credential", "session"})
    if (low.find(part) != low.npos)
      return true;
  MutexLock lock(secrets.mu);
  return std::find(secrets.headers.begin(), secrets.headers.end(), low) !=
         secrets.headers.end();
}

void register_secret(std::string secret) {
  if (secret.size() < kMinSecretBytes)
    return;
  MutexLock lock(secrets.mu);
  auto &texts = secrets.texts;
  for (Secret &known : texts)
    if (known.text == secret) {
      ++known.holders;
      return;
    }
  // Longest first, so that a secret within another does not spoil its match.
  auto place = std::find_if(texts.begin(), texts.end(), [&](const Secret &other) {
    return other.text.size() < secret.size();
  });
  texts.insert(place, {std::move(secret), 1});
}

void register_login(std::string_view user, std::string_view password) {
  if (password.empty())
    return;
  register_secret(std::string(password));
  register_secret(base64(std::string(user) + ':' + std::string(password)));
}

void register_user_info(std::string_view text) {
  size_t at = text.rfind('@');
  if (at == text.npos)
    return;
  text = text.substr(0, at);
  if (size_t scheme = text.find("://"); scheme != text.npos)
    text.remove_prefix(scheme + 3);
  register_secret(std::string(text));
  if (size_t colon = text.find(':'); colon != text.npos)
    register_secret(std::string(text.substr(colon + 1)));
}

void register_query(std::string_view query) {
  if (query.size() >= kLongSecretBytes)
    register_secret(std::string(query));
  for_parts(query, "&=", 2 * kLongSecretBytes, register_secret);
}

void register_header(std::string_view name, std::string_view value) {
  bool secret = is_secret_header(name);
  register_header_name(name);
  if (secret)
    for_parts_of_value(value, register_secret);
}

PassingSecrets::~PassingSecrets() {
  MutexLock lock(secrets.mu);
  auto &texts = secrets.texts;
  for (const std::string &held : held_) {
    auto known = std::find_if(texts.begin(), texts.end(),
                              [&](const Secret &each) { return each.text == held; });
    if (--known->holders == 0)
      texts.erase(known);
  }
}

void PassingSecrets::add(std::string_view text) {
  for_parts_of_value(text, [this](std::string part) {
    held_.reserve(held_.size() + 1); // so that what is registered is held
    register_secret(part);
    held_.push_back(std::move(part));
  });
}

void PassingSecrets::add_header(std::string_view name, std::string_view value) {
  register_header_name(name);
  add(value);
}

} // namespace httpcache
