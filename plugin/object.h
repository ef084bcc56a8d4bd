// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// object.h - what the remote object is, and whether an answer is of it.
//
// The first answer to a ranged GET pins the object: its total size and its
// validator (object_from_probe).  Every answer, that one too, is then held
// against the question and against what is pinned (check_answer), when its
// head is complete and before a byte of its body is used.  What passes is the
// right bytes of the right version as far as HTTP can tell; all else is an
// Error of a named kind.  What the server says is checked, never asserted.
//
// Same version?  By the first of these that both sides can take part in:
//   1. the total size: must be equal;
//   2. ETags: the opaque tags must be equal.  Weak and strong are compared
//      alike, since servers turn one into the other for the same bytes (Apache
//      within a second of a change, nginx when it may compress).  Two equal
//      strong ETags settle it: nodes of a farm may still differ in dates;
//   3. Last-Modified, when an ETag is missing on a side or weak: must be
//      equal, as text.
// With ignore-etag=true the object's ETag is left out, and with it 2.
// An answer with which nothing of 2 and 3 could be compared, although the
// first one had something to compare, is not data: it could be of any version.
// RFC 9110 15.3.7 wants the ETag in each 206, so this is some odd node of a
// farm or a proxy that strips; the error is Transient, and another attempt
// may reach another node.  When the first answer had no validator at all, the
// size alone is checked; warn the user then (Validator::none()).
//
// Statuses: 408, 425, 429 and 5xx are Transient, but
// 501 and 505 Permanent, as are other 4xx, 3xx that get here (not followed),
// and a 2xx other than 206.  A 200 to the first request is Permanent: the
// server ignores Range.  A later 200 is Changed when its size or validator
// tells so, else Transient: ranges did work.  A page of another size without a validator,
// or of text/html, tells nothing of the object.  All have errno EIO:
// nbdkit passes few others on to a client.
//
// A 416 to a range that lies within the object, as far as is known, may be the word of
// a cache that holds another version or a part (containerized-data-importer issue
// 3543).  Such an error is Permanent with cache_suspected: whoever asked does so
// once more with `Cache-Control: no-cache`, and what then fails tells of both
// (failed_past_caches()).  One that tells another total than is pinned is Changed.
//
// Pure functions, any thread.  REDACTED_URL is text for messages, from
// redact_url(); nothing here sees an unredacted one.  Error texts read
// "GET https://host/disk bytes 0-262143: server answered 503 Service
// Unavailable"; words of the server's own in them are escaped and shortened.
#ifndef HTTPCACHE_OBJECT_H
#define HTTPCACHE_OBJECT_H

#include <cstdint>
#include <string>
#include <string_view>

#include "error.h"
#include "http_headers.h"

namespace httpcache {

// Bytes first..last of the object, both included, as in `Range: bytes=`.
// Never empty.
struct ByteSpan {
  uint64_t first = 0;
  uint64_t last = 0;
  uint64_t length() const { return last - first + 1; }
  bool operator==(const ByteSpan &) const = default;
};

// What tells one version of an object from another.
struct Validator {
  std::string etag; // with quotes, without W/; empty: none
  bool etag_weak = false;
  std::string last_modified; // empty: none

  bool none() const { return etag.empty() && last_modified.empty(); }
  bool strong() const { return !etag.empty() && !etag_weak; }
  bool operator==(const Validator &) const = default;
};

Validator validator_of(const ResponseHead &head);

// For messages and the export description: `ETag "5f-63"`, `Last-Modified
// Mon, 01...`, `no validator`.  Escaped and shortened.
std::string describe(const Validator &validator);

struct ObjectInfo {
  uint64_t size = 0; // bytes, of the whole object; at most 2^63 - 1; may be 0
  Validator validator;
  std::string effective_url; // after redirects; set by whoever knows it.
                             // Secret: show it through redact_url()
};

// Judges the head of the first answer, to `Range: bytes=first-last`.  An
// empty object cannot answer 206: `416` with `bytes */0` or an empty 200 make
// size 0, and then there is no body to check.  Otherwise go on with
// check_answer() of the same head, which tells what the body holds.
//
// ASKED.first is the `offset` parameter, so a 416 that tells no larger total says
// that the offset lies beyond the object's end.
Result<ObjectInfo> object_from_probe(const ResponseHead &head, ByteSpan asked,
                                     std::string_view redacted_url);

// Judges the head of any answer to `Range: bytes=first-last`.  The result is
// what the body holds: it begins at ASKED.first; it may end before ASKED.last
// (legal: ask for the rest) or behind it (legal: use only what was asked).
// The body's length is for the caller to hold against it: a body that ends
// early is a Transient error, whatever curl calls it.
Result<ByteSpan> check_answer(const ObjectInfo &object,
                              const ResponseHead &head, ByteSpan asked,
                              std::string_view redacted_url);

// What is told when the request that failed with FIRST, for which a cache was
// suspected, was made again past caches and failed with SECOND.
Error failed_past_caches(const Error &first, Error second);

// What to warn the user of where changes cannot be noticed: OBJECT has no validator, or
// with IGNORE_ETAG none that counts.  Empty: it has one, or is empty itself.
std::string warning_of_no_validator(const ObjectInfo &object, bool ignore_etag,
                                    std::string_view redacted_url);

// "GET https://host/disk bytes 0-262143", the start of every error text about
// one request; also for errors that curl reports.
std::string request_text(std::string_view redacted_url, ByteSpan asked);

// "503 Service Unavailable"; the number alone when it is not a known one.
std::string status_text(long status);

} // namespace httpcache

#endif
