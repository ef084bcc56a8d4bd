// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-unique_fd.cc - a descriptor is closed once, by its last owner.
#include "unique_fd.h"

#include <fcntl.h>

#include "catch.h"

using namespace httpcache;

static bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }
static UniqueFd open_null() {
  return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

TEST_CASE("a descriptor is closed at the end of the scope", "[unique_fd]") {
  int number = -1;
  {
    UniqueFd fd = open_null();
    REQUIRE(fd);
    number = fd.get();
    CHECK(is_open(number));
  }
  CHECK_FALSE(is_open(number));
}

TEST_CASE("a moved descriptor has one owner", "[unique_fd]") {
  UniqueFd fd = open_null();
  int number = fd.get();
  UniqueFd other = std::move(fd);
  CHECK(other.get() == number);

  UniqueFd third = open_null();
  int gone = third.get();
  third = std::move(other);
  CHECK_FALSE(is_open(gone));
  CHECK(is_open(number));
  CHECK(third.release() == number);
  CHECK_FALSE(third);
  CHECK(is_open(number));
  UniqueFd last(number);
  last.reset();
  CHECK_FALSE(is_open(number));
}
