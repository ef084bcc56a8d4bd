// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "netrc.h"

#include <optional>

#include <fmt/format.h>

#include "ascii.h"

namespace httpcache {

namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// One word after the other.
class Words {
public:
  explicit Words(std::string_view text) : text_(text) {}

  unsigned line() const { return line_; }

  // None at the end, or when a quote is not closed: then broken().
  std::optional<std::string> next() {
    skip_blanks();
    if (at_ == text_.size())
      return std::nullopt;
    return text_[at_] == '"' ? quoted() : plain();
  }
  bool broken() const { return broken_; }

  // A macro's body goes to the next empty line.
  void skip_macro() {
    size_t end = std::min(text_.find("\n\n", at_), text_.find("\n\r\n", at_));
    while (at_ < std::min(end, text_.size()))
      advance();
  }

private:
  void advance() { line_ += text_[at_++] == '\n' ? 1 : 0; }

  void skip_blanks() {
    while (at_ < text_.size()) {
      bool comment = text_[at_] == '#' && (at_ == 0 || text_[at_ - 1] == '\n');
      if (comment)
        while (at_ < text_.size() && text_[at_] != '\n')
          ++at_;
      else if (is_space(text_[at_]))
        advance();
      else
        return;
    }
  }

  std::string plain() {
    std::string word;
    while (at_ < text_.size() && !is_space(text_[at_]))
      word += text_[at_++];
    return word;
  }

  std::optional<std::string> quoted() {
    std::string word;
    for (++at_; at_ < text_.size() && text_[at_] != '\n'; ++at_) {
      char c = text_[at_];
      if (c == '"') {
        ++at_;
        return word;
      }
      if (c == '\\' && at_ + 1 < text_.size()) {
        c = text_[++at_];
        c = c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
      }
      word += c;
    }
    broken_ = true;
    return std::nullopt;
  }

  std::string_view text_;
  size_t at_ = 0;
  unsigned line_ = 1;
  bool broken_ = false;
};

Error wrong(unsigned line, std::string_view why) {
  return {ErrorKind::Permanent, EINVAL, 0, fmt::format("line {}: {}", line, why), {}};
}

} // namespace

Result<Netrc> Netrc::parse(std::string_view text) {
  Netrc netrc;
  Words words(text);
  while (std::optional<std::string> key = words.next()) {
    unsigned line = words.line();
    if (*key == "default") {
      netrc.entries_.emplace_back();
      continue;
    }
    bool known = *key == "machine" || *key == "login" || *key == "password" ||
                 *key == "account" || *key == "macdef";
    if (!known)
      return wrong(line, "neither machine, default, login, password, account nor macdef (write a "
                         "word that has blanks in double quotes)");
    std::optional<std::string> value = words.next();
    if (!value)
      return wrong(line, words.broken() ? "a double quote is not closed"
                                        : fmt::format("nothing follows '{}'", *key));
    if (*key == "macdef") {
      words.skip_macro();
      continue;
    }
    if (*key == "machine") {
      netrc.entries_.push_back({to_lower(*value), "", ""});
      continue;
    }
    if (netrc.entries_.empty())
      return wrong(line, fmt::format("'{}' before any machine", *key));
    if (*key == "login")
      netrc.entries_.back().login = *std::move(value);
    else if (*key == "password")
      netrc.entries_.back().password = *std::move(value);
  }
  if (words.broken())
    return wrong(words.line(), "a double quote is not closed");
  return netrc;
}

const Netrc::Entry *Netrc::find(std::string_view host, bool allow_default) const {
  for (const Entry &entry : entries_)
    if (entry.machine.empty() ? allow_default : entry.machine == host)
      return &entry;
  return nullptr;
}

} // namespace httpcache
