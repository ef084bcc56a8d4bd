// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// redact.h - what may be shown, in messages, traces and descriptions.
//
// Nothing else in the plugin decides what is secret.
//   redact_url     for a URL to be shown: no user info, no query, no fragment
//   redact_text    for text of others that may hold URLs or secrets: curl's
//                  error messages and CURLINFO_TEXT
//   redact_header_line  for one line of a request or response head (curl hands
//                  over all lines of a request at once: split them first)
// The register_ functions name what the user gave as secret; config.cc calls
// them as soon as it has it.  Registered text is hidden by redact_text() and
// redact_header_line() wherever it occurs, so only text long enough to be a
// secret, and not a word like `true`, is taken: hiding "a" everywhere would
// tell more than it hides.
//
// Threads: all functions may be called from any thread at any time.
// Errors: none; std::bad_alloc may be thrown.
#ifndef HTTPCACHE_REDACT_H
#define HTTPCACHE_REDACT_H

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace httpcache {

// TEXT with control characters, and bytes that are not UTF-8, as \n or \x1b:
// safe for a terminal and a log, and always one line.
std::string escape_controls(std::string_view text);

// scheme://host[:port]/path.  User info is dropped; a query and a fragment
// become "?...".  Relative URLs too.  Copes with any garbage: nothing from
// behind the first '?' or '#' is shown, nor from before an '@' that could end
// user info (an '@' in the path of a well-formed URL cannot; one behind a '?' or '#'
// can where no port could end like that).  Control characters are escaped.
std::string redact_url(std::string_view url);

// TEXT with the URLs in it, and words like /path?query, redacted; with header
// fields in brackets, as curl shows those of HTTP/2 ("[cookie: a=b]"), treated
// as by redact_header_line(); without the values of cookies that curl tells of; and
// with every registered secret as "***".
// Control characters are escaped.
std::string redact_text(std::string_view text);

// One line of an HTTP request or response head, with or without its line end
// (dropped).  The values of secret headers (below) become "***"; Location and
// the like and the request line lose their query; the rest goes through
// redact_text().
std::string redact_header_line(std::string_view line);

// Is the value of header NAME (any case) never shown?  So it is for
// Authorization, Cookie and their kin, for names that speak of a token, key,
// secret, signature or password, and for registered ones.
bool is_secret_header(std::string_view name);

// SECRET itself; from 4 bytes.
void register_secret(std::string secret);

// A user name and password: the password, and both as Basic sends them.
void register_login(std::string_view user, std::string_view password);

// What stands before the last '@' of TEXT, which should be a URL but is none that can
// be understood: whole, and the password.
void register_user_info(std::string_view text);

// A URL's query (without '?'): whole, and its longer values.  A signature may
// come back in other URLs.
void register_query(std::string_view query);

// A header that the user gave.  Its value is never shown by
// redact_header_line(); when is_secret_header(NAME) its longer parts ("Bearer
// eyJ...", "a=1; session=...") nowhere.
void register_header(std::string_view name, std::string_view value);

// Secrets that come and go while nbdkit runs, such as tokens that are renewed: hidden
// for as long as this lives, or another that holds the same.
class PassingSecrets {
public:
  PassingSecrets() = default;
  ~PassingSecrets();
  PassingSecrets(PassingSecrets &&other) noexcept : held_(std::move(other.held_)) {}
  PassingSecrets &operator=(PassingSecrets &&) = delete;

  // From 8 bytes: all of it, and its parts between blanks, quotes, brackets, and ; , = :
  void add(std::string_view text);
  // The value, also of a header whose name speaks of no secret.  The name stays
  // registered.
  void add_header(std::string_view name, std::string_view value);

private:
  std::vector<std::string> held_;
};

} // namespace httpcache

#endif
