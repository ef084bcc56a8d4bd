// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// error.h - how failure travels: by value, as an Error inside a Result.
//
// An Error is made once, where the failure is understood; whoever makes it
// decides its kind, and `retry` alone acts on the kind.  It then goes up
// unchanged (add_context() may put words before its text) to the nbdkit thread
// that waits, which tells nbdkit: nbdkit_error and nbdkit_set_error are kept
// per thread, so calling them anywhere else reaches nobody.
//
// The text is shown to users and goes into logs: whoever makes an Error hands
// over text that is already redacted (log.h).  It names what was tried, on
// which bytes of which URL, and what came back.  No final newline or period.
//
// Threads: plain values.  Ownership: Result owns what it holds.  A Result must
// be looked at ([[nodiscard]]); value() of an Error, or error() of a value, is
// a bug in this program and is asserted.
#ifndef HTTPCACHE_ERROR_H
#define HTTPCACHE_ERROR_H

#include <cassert>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace httpcache {

// What to do about a failure.
enum class ErrorKind {
  Transient, // may go away by itself: try again (retry.h)
  Permanent, // will not: say so at once
  Changed,   // the object is not the one seen first: never mix old and new
  Cancelled, // we stopped it ourselves: shutdown, or nobody waits any more
  LocalIo,   // this machine: memory, descriptors, disk, threads
};

// For messages and traces.
inline const char *to_string(ErrorKind kind) {
  switch (kind) {
  case ErrorKind::Transient:
    return "transient";
  case ErrorKind::Permanent:
    return "permanent";
  case ErrorKind::Changed:
    return "changed";
  case ErrorKind::Cancelled:
    return "cancelled";
  case ErrorKind::LocalIo:
    return "local I/O";
  }
  return "?"; // a value outside the enum; g++ warns without this
}

struct Error {
  ErrorKind kind = ErrorKind::Permanent;
  int err = EIO;        // errno for the NBD client
  long http_status = 0; // 0: no HTTP answer was involved
  std::string what;     // redacted text
  std::optional<uint32_t> retry_after_s =
      std::nullopt; // server's wish, uncapped
  bool unreachable = false; // no connection was made, so nothing was asked
  bool cache_suspected = false; // a cache may have said it: ask once past caches
  bool told = false; // the user has been shown this text already (log.h)

  // The same error with "PREFIX: " before its text.
  Error &add_context(std::string_view prefix) {
    what.insert(0, ": ").insert(0, prefix);
    return *this;
  }
};

template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return held_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T &value() & {
    assert(ok());
    return *std::get_if<0>(&held_);
  }
  const T &value() const & {
    assert(ok());
    return *std::get_if<0>(&held_);
  }
  T &&value() && {
    assert(ok());
    return std::move(*std::get_if<0>(&held_));
  }

  Error &error() & {
    assert(!ok());
    return *std::get_if<1>(&held_);
  }
  const Error &error() const & {
    assert(!ok());
    return *std::get_if<1>(&held_);
  }
  Error &&error() && {
    assert(!ok());
    return std::move(*std::get_if<1>(&held_));
  }

private:
  std::variant<T, Error> held_;
};

// Success without a value: `return {};`.
template <> class [[nodiscard]] Result<void> {
public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }

  Error &error() & {
    assert(!ok());
    return *error_;
  }
  const Error &error() const & {
    assert(!ok());
    return *error_;
  }
  Error &&error() && {
    assert(!ok());
    return std::move(*error_);
  }

private:
  std::optional<Error> error_;
};

} // namespace httpcache

#endif
