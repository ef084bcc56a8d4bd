// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "object.h"

#include <fmt/format.h>

#include "redact.h"

namespace httpcache {

namespace {

constexpr long kPartialContent = 206;

// What a server says of itself, fit for a message; it may say what it was told, too.
std::string quoted(std::string_view text) {
  constexpr size_t kMost = 100;
  std::string shown = redact_text(text);
  return shown.size() <= kMost ? shown : escape_controls(shown.substr(0, kMost)) + "...";
}

// The parts of one judgement.
struct Case {
  const ResponseHead &head;
  ByteSpan asked;
  std::string_view redacted_url;
  bool first = false; // else the object was there before

  Error error(ErrorKind kind, std::string_view text) const {
    Error error;
    error.kind = kind;
    error.http_status = head.status;
    error.what = request_text(redacted_url, asked);
    error.what += ": ";
    error.what += text;
    if (!head.redirected_from.empty())
      error.what += fmt::format(" ({} redirects there)", head.redirected_from);
    error.retry_after_s = head.retry_after_s;
    return error;
  }
  Error permanent(std::string_view text) const {
    return error(ErrorKind::Permanent, text);
  }
  Error transient(std::string_view text) const {
    return error(ErrorKind::Transient, text);
  }
};

ErrorKind kind_of_status(long status) {
  switch (status) {
  case 408:
  case 425:
  case 429:
    return ErrorKind::Transient;
  case 501:
  case 505:
    return ErrorKind::Permanent;
  default:
    return status >= 500 && status <= 599 ? ErrorKind::Transient
                                          : ErrorKind::Permanent;
  }
}

bool is_folder(const Case &c) { return c.redacted_url.ends_with('/'); }

// What the user could do about it.
std::string hint(const Case &c) {
  if (!c.head.scripts.empty() && (c.head.status == 401 || c.head.status == 403))
    return fmt::format(" (is what {} prints what it wants?)", c.head.scripts);
  switch (c.head.status) {
  case 400:
    if (!c.first)
      return " (has a login, or a signed URL, expired?)";
    if (c.redacted_url.starts_with("http://"))
      return " (does that port want https://? Or has a signed URL expired?)";
    if (c.head.certificate)
      return " (does it not accept the certificate of sslcert=? Or has a signed URL expired?)";
    return c.head.elsewhere
               ? " (has a signed URL expired?)"
               : " (does it want a certificate of the client, sslcert=? Has a signed URL expired? "
                 "With aws-sigv4=, are the region and the session token right?)";
  case 401:
    if (c.head.elsewhere)
      return " (logins are sent to the scheme, host and port of url= only; for another place give "
             "netrc=)";
    if (!c.head.via.empty())
      return " (are user= and password=, bearer-token=, netrc=, cookie= or header=, or for the "
             "proxy proxy-user= and proxy-password=, right?)";
    return " (are user= and password=, or bearer-token=, netrc=, cookie= or header=, right?)";
  case 403:
    return is_folder(c) ? " (a URL that ends in '/' is a folder's: name the file in it)"
                        : " (not allowed: a login may be needed, or a signed URL may have "
                          "expired; with aws-sigv4=, are keys, region and clock right?)";
  case 404:
  case 410:
    return c.first ? " (is the URL right?)" : " (it was there before: has it been removed?)";
  case 407:
    return " (give a user name and a password that the proxy accepts as proxy-user= and "
           "proxy-password=)";
  default:
    return c.head.status >= 300 && c.head.status <= 399 && !c.head.location.empty()
               ? fmt::format(" (a redirect to {}, which followlocation=false forbids to follow)",
                             redact_url(c.head.location))
               : "";
  }
}

// The head tells no bytes; 200, 206 and 416 are for the callers.
Error status_error(const Case &c) {
  if (c.head.status == 0)
    return c.transient("the server sent no HTTP answer");
  std::string who = "server";
  if (!c.head.via.empty())
    who = c.head.status == 407 ? fmt::format("the proxy {}", c.head.via)
                               : fmt::format("server, or the proxy {},", c.head.via);
  ErrorKind kind = kind_of_status(c.head.status);
  std::string wish;
  if (kind == ErrorKind::Transient && c.head.retry_after_s.value_or(0) > 0)
    wish = fmt::format(", and is not to be asked again for {} s", *c.head.retry_after_s);
  return c.error(kind,
                 fmt::format("{} answered {}{}{}", who, status_text(c.head.status), hint(c), wish));
}

// Of a 206: is it one to be understood at all?
Result<void> check_form(const Case &c) {
  const ResponseHead &head = c.head;
  if (!head.malformed.empty())
    return c.permanent(
        fmt::format("server sent a malformed head: {}", head.malformed));
  if (head.is_multipart_byteranges())
    return c.permanent("server answered with multipart/byteranges to a "
                       "request for one range");
  if (head.is_encoded())
    return c.permanent(fmt::format(
        "server sent Content-Encoding '{}' although none was accepted: its "
        "bytes are not those of the file",
        quoted(head.content_encoding)));
  if (head.is_transfer_coded())
    return c.permanent(fmt::format(
        "server sent Transfer-Encoding '{}' although only chunks were accepted: its bytes are "
        "not those of the file",
        quoted(head.transfer_encoding)));
  if (!head.content_range || !head.content_range->first ||
      !head.content_range->last)
    return c.permanent("server answered 206 Partial Content without a "
                       "Content-Range that says which bytes they are");
  return {};
}

// Of a 206 of good form: are its bytes those that were asked for?
Result<ByteSpan> span_of(const Case &c) {
  const ResponseHead &head = c.head;
  ByteSpan span{*head.content_range->first, *head.content_range->last};
  if (span.first != c.asked.first)
    return c.permanent(fmt::format("server answered with other bytes, {}-{}",
                                   span.first, span.last));
  if (head.content_length && *head.content_length != span.length())
    return c.permanent(fmt::format(
        "server contradicts itself: Content-Range says bytes {}-{}, which "
        "are {}, Content-Length says {}",
        span.first, span.last, span.length(), *head.content_length));
  return span;
}

enum class Verdict { Same, Differs, CannotTell };

Verdict compare(const Validator &a, const Validator &b) {
  Verdict verdict = Verdict::CannotTell;
  if (!a.etag.empty() && !b.etag.empty()) {
    if (a.etag != b.etag)
      return Verdict::Differs;
    if (a.strong() && b.strong())
      return Verdict::Same;
    verdict = Verdict::Same;
  }
  if (!a.last_modified.empty() && !b.last_modified.empty())
    return a.last_modified == b.last_modified ? Verdict::Same
                                              : Verdict::Differs;
  return verdict;
}

Error changed(const Case &c, std::string_view from, std::string_view to) {
  return c.error(
      ErrorKind::Changed,
      fmt::format("the file on the server has changed, from {} to {}; old and "
                  "new bytes are not mixed: restart nbdkit to serve the new "
                  "one",
                  from, to));
}

Error changed_size(const Case &c, uint64_t from, uint64_t to) {
  return changed(c, fmt::format("{} bytes", from), fmt::format("{} bytes", to));
}

// Names the validator that differs, of OLD and of NEW.
Error changed_validator(const Case &c, const Validator &was,
                        const Validator &is) {
  bool by_etag = !was.etag.empty() && !is.etag.empty() && was.etag != is.etag;
  auto show = [&](const Validator &v) {
    return by_etag ? describe({v.etag, v.etag_weak, ""})
                   : describe({"", false, v.last_modified});
  };
  Error error = changed(c, show(was), show(is));
  if (by_etag)
    error.what += " (where the nodes of a server farm give equal files different ETags, "
                  "ignore-etag=true goes by size and Last-Modified alone)";
  return error;
}

// A 200 after ranges did work: a sign of change, or a node that has a bad day.
Error later_200(const Case &c, const ObjectInfo &object) {
  const ResponseHead &head = c.head;
  bool other_size = head.content_length && head.malformed.empty() && !head.is_encoded() &&
                    *head.content_length != object.size;
  Validator is = validator_of(head);
  Verdict verdict = compare(object.validator, is);
  // A page of some sort is no proof of change, neither one to log in at, where a signed
  // URL or a session has expired, nor one that says that the server is down for a while.
  bool page = other_size && verdict == Verdict::CannotTell && !object.validator.none();
  if (page || (head.is_web_page() && head.content_length != object.size))
    return c.transient("server answered 200 OK with a page, not with the part of the file that was "
                       "asked for (does it want a login by now?)");
  if (other_size)
    return changed_size(c, object.size, *head.content_length);
  if (verdict == Verdict::Differs)
    return changed_validator(c, object.validator, is);
  return c.transient("server answered 200 OK with the whole file, though it "
                     "did answer ranges before");
}

// A 416 that the object's end does not explain.
Error unexplained_416(const Case &c, std::string_view why_not) {
  Error error =
      c.permanent(fmt::format("server answered {}{}", status_text(c.head.status), why_not));
  error.cache_suspected = true;
  return error;
}

// A 416 after the size was known.
Error later_416(const Case &c, const ObjectInfo &object) {
  const auto &range = c.head.content_range;
  bool told = range && range->total;
  if (told && *range->total != object.size) {
    // A cache may hold the version before, or a part (issue 3543 again).
    Error error = changed_size(c, object.size, *range->total);
    error.cache_suspected = true;
    return error;
  }
  return unexplained_416(c, fmt::format(", though the file has {} bytes, {}", object.size,
                                        told ? "as that answer says too"
                                             : "without telling a size"));
}

} // namespace

Validator validator_of(const ResponseHead &head) {
  return {head.etag, head.etag_weak, head.last_modified};
}

std::string describe(const Validator &validator) {
  if (!validator.etag.empty())
    return fmt::format("ETag {}{}", validator.etag_weak ? "W/" : "",
                       quoted(validator.etag));
  if (!validator.last_modified.empty())
    return fmt::format("Last-Modified {}", quoted(validator.last_modified));
  return "no validator";
}

std::string warning_of_no_validator(const ObjectInfo &object, bool ignore_etag,
                                    std::string_view redacted_url) {
  if (!object.validator.none() || object.size == 0)
    return "";
  return fmt::format("{}: the server sends {} Last-Modified; should the object change while it is "
                     "served, only a change of its size will be noticed",
                     redacted_url, ignore_etag ? "no" : "neither ETag nor");
}

std::string request_text(std::string_view redacted_url, ByteSpan asked) {
  return fmt::format("GET {} bytes {}-{}", redacted_url, asked.first,
                     asked.last);
}

std::string status_text(long status) {
  // Our own names, not the server's: HTTP/2 sends none, and why trust them.
  struct Named {
    long status;
    std::string_view name;
  };
  static constexpr Named kNames[] = {
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {203, "Non-Authoritative Information"},
      {204, "No Content"},
      {206, "Partial Content"},
      {300, "Multiple Choices"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {402, "Payment Required"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {407, "Proxy Authentication Required"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {412, "Precondition Failed"},
      {416, "Range Not Satisfiable"},
      {421, "Misdirected Request"},
      {423, "Locked"},
      {425, "Too Early"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {451, "Unavailable For Legal Reasons"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {505, "HTTP Version Not Supported"},
      {507, "Insufficient Storage"},
  };
  for (const Named &named : kNames)
    if (named.status == status)
      return fmt::format("{} {}", status, named.name);
  return fmt::format("{}", status);
}

Result<ObjectInfo> object_from_probe(const ResponseHead &head, ByteSpan asked,
                                     std::string_view redacted_url) {
  Case c{head, asked, redacted_url, true};
  ObjectInfo object;
  object.validator = validator_of(head);
  auto beyond_end = [&](uint64_t size) {
    return c.permanent(
        fmt::format("offset={} lies {} the end of the file, "
                    "which has {} bytes",
                    asked.first, asked.first == size ? "at" : "beyond", size));
  };

  if (head.status == 416) {
    if (!head.malformed.empty())
      return unexplained_416(c, fmt::format(" with a malformed {}", head.malformed));
    if (!head.content_range || !head.content_range->total)
      return unexplained_416(
          c, fmt::format(" without telling the size of the file{}",
                         asked.first > 0 ? " (is offset= beyond its end?)" : ""));
    uint64_t size = *head.content_range->total;
    if (asked.first > 0 && asked.first >= size)
      return beyond_end(size);
    if (size > 0)
      return unexplained_416(
          c, fmt::format(", though it says that the file has {} bytes", size));
    return object;
  }
  // An empty file is the one that can be answered whole: Apache does so.
  if (head.status == 200 && head.malformed.empty() &&
      head.content_length == uint64_t{0} && !head.is_encoded()) {
    if (asked.first > 0)
      return beyond_end(0);
    return object;
  }
  // Servers that do ranges of files answer so for what they make up, such as lists
  // of folders.
  if (head.status == 200 && (is_folder(c) || head.is_web_page()))
    return c.permanent("server answered 200 OK with a web page or a list of files, not "
                       "with the part of a file that was asked for: is the URL that of the "
                       "disk image itself?");
  if (head.status == 200)
    return c.permanent(fmt::format(
        "server ignores range requests: it answered 200 OK with "
        "the whole file instead of 206 Partial Content{}; a file "
        "cannot be read in parts from it: download it, or use a "
        "server that supports ranges",
        head.accept_ranges_none ? " (and Accept-Ranges: none)" : ""));
  if (head.status != kPartialContent)
    return status_error(c);

  if (Result<void> form = check_form(c); !form)
    return std::move(form).error();
  Result<ByteSpan> span = span_of(c);
  if (!span)
    return std::move(span).error();
  if (!head.content_range->total)
    return c.permanent(
        fmt::format("server does not tell the size of the file "
                    "(Content-Range: bytes {}-{}/*), which an NBD export "
                    "must have",
                    span.value().first, span.value().last));
  object.size = *head.content_range->total;
  return object;
}

Result<ByteSpan> check_answer(const ObjectInfo &object,
                              const ResponseHead &head, ByteSpan asked,
                              std::string_view redacted_url) {
  Case c{head, asked, redacted_url};
  if (head.status == 200)
    return later_200(c, object);
  if (head.status == 416)
    return later_416(c, object);
  if (head.status != kPartialContent)
    return status_error(c);

  if (Result<void> form = check_form(c); !form)
    return std::move(form).error();
  // Before the range: a change explains one that does not fit.
  std::optional<uint64_t> total = head.content_range->total;
  if (total && *total != object.size)
    return changed_size(c, object.size, *total);
  Validator is = validator_of(head);
  Verdict verdict = compare(object.validator, is);
  if (verdict == Verdict::Differs)
    return changed_validator(c, object.validator, is);

  Result<ByteSpan> span = span_of(c);
  if (!span)
    return span;
  if (verdict == Verdict::CannotTell && !object.validator.none())
    return c.transient(fmt::format(
        "server sent {} where the first answer had {}, so this may be another "
        "version of the file",
        describe(is), describe(object.validator)));
  // Without a total, only a validator shows that it is the same object.
  if (!total && (verdict != Verdict::Same || span.value().last >= object.size))
    return c.permanent(
        fmt::format("server does not tell the size of the file any more "
                    "(Content-Range: bytes {}-{}/*)",
                    span.value().first, span.value().last));
  return span;
}

Error failed_past_caches(const Error &first, Error second) {
  std::string_view words = second.what;
  // Behind request_text(), in which there are no blanks but its own.
  size_t begin = first.what.find(": ");
  if (begin != first.what.npos && words.starts_with(first.what.substr(0, begin + 2)))
    words.remove_prefix(begin + 2);
  second.what = fmt::format(
      "{}; asked once more past caches, with Cache-Control: no-cache: {}{}", first.what, words,
      second.cache_suspected
          ? " (does a cache on the way, or a node of the server, hold another version or only a "
            "part of the file? have it cleared, or use a URL that goes around it)"
          : "");
  return second;
}

} // namespace httpcache
