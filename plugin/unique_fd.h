// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unique_fd.h - a file descriptor with one owner, closed with it.
//
// Threads: a plain value.  Errors of close(2) are ignored: nothing here writes
// through such a descriptor what it could not afford to lose.
#ifndef HTTPCACHE_UNIQUE_FD_H
#define HTTPCACHE_UNIQUE_FD_H

#include <unistd.h>

#include <utility>

namespace httpcache {

class UniqueFd {
public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd &&other) noexcept : fd_(other.release()) {}
  UniqueFd &operator=(UniqueFd &&other) noexcept {
    if (this != &other)
      reset(other.release());
    return *this;
  }
  UniqueFd(const UniqueFd &) = delete;
  UniqueFd &operator=(const UniqueFd &) = delete;
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

  // The caller owns what is returned.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

  void reset(int fd = -1) {
    int old = std::exchange(fd_, fd);
    if (old >= 0)
      ::close(old);
  }

private:
  int fd_ = -1;
};

} // namespace httpcache

#endif
