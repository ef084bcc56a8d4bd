// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// http_headers.h - what one HTTP response head says, parsed from its lines.
//
// The input comes from whoever answers at the URL and is not trusted: any
// bytes are survived, numbers beyond 2^63 - 1 are refused instead of wrapped,
// and what contradicts itself is marked `malformed`, never guessed at.  This
// module judges form alone; whether the answer fits the question is for
// object.h.
//
// libcurl hands over each line as it came, for every head of a transfer: 1xx,
// a proxy's CONNECT, redirects, and last the one that counts.  A status line
// therefore starts afresh, so that what is left at the end is the final head.
// Lines after a head's empty line that are no status line are trailers and
// are ignored: Content-Range behind a body comes too late to be believed.
//
// Memory: headers that are not asked for below are not kept, and kept ones
// are bounded with the head, see kMaxHeadBytes.  std::bad_alloc may be thrown
// by add_line(), nothing else.  Threads: a plain value.
#ifndef HTTPCACHE_HTTP_HEADERS_H
#define HTTPCACHE_HTTP_HEADERS_H

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace httpcache {

// The most bytes of all heads of one transfer together.  Single lines of 64 KiB
// are legal in practice (and libcurl refuses those over 100 KiB), and each
// redirect brings another head; four of the longest lines are far above any
// honest answer and still cost nothing.  The engine gives a transfer up when
// ResponseHead::too_long() says so; nothing else stops a server that sends
// header lines for ever.
inline constexpr size_t kMaxHeadBytes = size_t{256} * 1024;

// RFC 9110 14.4.  `bytes 0-99/1000` has all three, `bytes 0-99/*` no total,
// `bytes */1000` (with 416) only the total.  Always first <= last < total.
struct ContentRange {
  std::optional<uint64_t> first;
  std::optional<uint64_t> last; // the last byte itself, as HTTP counts
  std::optional<uint64_t> total;
  bool operator==(const ContentRange &) const = default;
};

struct ResponseHead {
  long status = 0; // 0: no status line yet
  std::optional<ContentRange> content_range;
  std::optional<uint64_t> content_length;
  std::string etag; // opaque, with its quotes but without W/; empty: none
  bool etag_weak = false;
  std::string last_modified;    // opaque: compared, never understood
  std::string content_encoding; // as sent; empty: none
  std::string transfer_encoding; // as sent; empty: none
  std::string content_type;     // as sent
  bool accept_ranges_none = false;
  std::optional<uint32_t> retry_after_s; // uncapped; 0 for a date gone by
  std::string location;                  // may hold secrets: redact_url()

  std::string via;              // the proxy it may be of, fit to be shown; set by
                                // whoever knows it; empty: none
  bool elsewhere = false; // not of the origin of url=, so it was given no login; as via
  bool certificate = false;    // of the client, was at hand; as via
  std::string redirected_from; // the URL that led there, as via; empty: it was asked itself
  std::string scripts;   // the parameters whose scripts gave what was asked with, as
                         // via; empty: none
  std::string malformed; // what was wrong, escaped and short; empty: nothing
  bool complete = false; // the empty line has been seen
  size_t head_bytes = 0; // of all heads of this transfer, ignored lines too

  // One line, with or without its line end.  NOW_UNIX_S, seconds since 1970,
  // turns a Retry-After that is a date into seconds from now.
  void add_line(std::string_view raw_line, int64_t now_unix_s);

  bool too_long() const { return head_bytes > kMaxHeadBytes; }

  // Is the body a multipart/byteranges, that is, not the bytes themselves?
  bool is_multipart_byteranges() const;
  // Is it for people?
  bool is_web_page() const;
  // Is the body encoded (gzip...)?  `identity` means no.
  bool is_encoded() const;
  // Is it coded for the transfer by anything but chunks, which libcurl takes off?  What
  // else there is libcurl hands over as it comes.
  bool is_transfer_coded() const;

private:
  enum class Field : uint8_t {
    None, // not one of ours
    AcceptRanges,
    ContentEncoding,
    ContentLength,
    ContentRange,
    ContentType,
    ETag,
    LastModified,
    Location,
    RetryAfter,
    TransferEncoding,
  };
  static Field field_of(std::string_view name);
  bool take_status_line(std::string_view line);
  void take_field(Field field, std::string_view value, int64_t now_unix_s);
  void mark_malformed(std::string_view why, std::string_view value);

  Field previous_ = Field::None; // whose folded line would follow
};

// The pieces, for tests and fuzzing.  nullopt: not of that form.

// Tolerated beyond the grammar, because servers send it: white space at
// either end and around '-' and '/', and `bytes=` or `bytes:` for `bytes `.
std::optional<ContentRange> parse_content_range(std::string_view value);

// Digits only; `5, 5` (RFC 9112 6.3: equal values of joined duplicates) is 5.
std::optional<uint64_t> parse_content_length(std::string_view value);

// Seconds, or a date in one of the three forms of RFC 9110 5.6.7.
std::optional<uint32_t> parse_retry_after(std::string_view value,
                                          int64_t now_unix_s);

// Seconds since 1970.  Two-digit years (RFC 850) lie within 50 years of NOW.
std::optional<int64_t> parse_http_date(std::string_view value,
                                       int64_t now_unix_s);

} // namespace httpcache

#endif
