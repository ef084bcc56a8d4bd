// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// unit-error.cc - Result holds what it was given, and error kinds have names.
#include "error.h"

#include <memory>

#include "catch.h"

using namespace httpcache;

static Error broken() {
  return {ErrorKind::Transient, ECONNRESET, 503, "it broke", 7};
}

TEST_CASE("a Result holds a value or an error", "[error]") {
  Result<int> good = 3;
  CHECK(good.ok());
  CHECK(good);
  CHECK(good.value() == 3);

  Result<int> bad = broken();
  CHECK_FALSE(bad.ok());
  CHECK(bad.error().kind == ErrorKind::Transient);
  CHECK(bad.error().err == ECONNRESET);
  CHECK(bad.error().http_status == 503);
  CHECK(bad.error().retry_after_s == 7u);
}

TEST_CASE("a Result hands over what can only be moved", "[error]") {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  std::unique_ptr<int> taken = std::move(result).value();
  CHECK(*taken == 5);
}

TEST_CASE("a Result of nothing is success until it holds an error", "[error]") {
  Result<void> good;
  CHECK(good);
  Result<void> bad = broken();
  CHECK_FALSE(bad);
  CHECK(bad.error().what == "it broke");
}

TEST_CASE("context goes before an error's text", "[error]") {
  Error error = broken();
  error.add_context("mirror 2").add_context("read");
  CHECK(error.what == "read: mirror 2: it broke");
}

TEST_CASE("each kind of error has its own name", "[error]") {
  CHECK(std::string(to_string(ErrorKind::Transient)) == "transient");
  CHECK(std::string(to_string(ErrorKind::Permanent)) == "permanent");
  CHECK(std::string(to_string(ErrorKind::Changed)) == "changed");
  CHECK(std::string(to_string(ErrorKind::Cancelled)) == "cancelled");
  CHECK(std::string(to_string(ErrorKind::LocalIo)) == "local I/O");
}
