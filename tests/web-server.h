// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// web-server.h - a web server of one object, in the process of the test.
//
// Answers range requests, rightly or as a script says, request by request, and
// remembers what it was asked for.  For what a real client meets there is
// origin.py; this one starts at once, and a test sees into it.
//
// Threads: one accepts, one more serves each connection and calls the script; all
// end with the server.  Errors: std::system_error if it cannot listen.
#ifndef HTTPCACHE_TESTS_WEB_SERVER_H
#define HTTPCACHE_TESTS_WEB_SERVER_H

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "mutex.h"

namespace tests {

struct Asked {
  uint64_t first = 0, last = 0;
  size_t number = 0; // of the request, from 0 on
  uint64_t length() const { return last - first + 1; }
};

// What to answer; by default what was asked for, rightly.
struct Answer {
  std::string status = "206 Partial Content";
  std::string etag = "\"v1\"";
  uint64_t shift = 0;            // the range begins so much later
  uint64_t most = UINT64_MAX;    // a shorter range, as the head says
  uint64_t cut = UINT64_MAX;     // bytes of the body, then hang up
  bool whole = false;            // the object from its begin, without a range
  bool held = false;             // not before release()
};

class Server {
public:
  using Script = std::function<Answer(const Asked &)>;
  // Fills OUT with the object's bytes from OFFSET on.
  using Bytes = std::function<void(uint64_t offset, std::span<char> out)>;

  // By default the bytes are truth() (helpers.h).
  explicit Server(uint64_t size, Script script = {}, Bytes bytes = {});
  ~Server();

  // Lets go of what is held, for good; so does the server's end.
  void release();

  std::string url() const;
  std::vector<Asked> asked();
  size_t requests();
  // Of all requests together, as they asked.
  uint64_t bytes_asked();
  uint64_t most_at_once() const { return most_at_once_; }

private:
  void accept_all();
  void serve_all(int fd);
  bool serve(int fd, std::string &input);
  bool answer(int fd, const Asked &asked);

  const uint64_t size_;
  const Script script_;
  const Bytes bytes_;
  int listener_ = -1;
  int port_ = 0;
  std::thread acceptor_;
  std::vector<std::thread> threads_; // grown by the acceptor only
  httpcache::Mutex mu_;
  httpcache::CondVar released_cond_;
  bool released_ GUARDED_BY(mu_) = false;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::vector<int> sockets_ GUARDED_BY(mu_);
  std::vector<Asked> asked_ GUARDED_BY(mu_);
  uint64_t at_once_ GUARDED_BY(mu_) = 0;
  std::atomic<uint64_t> most_at_once_{0};
};

} // namespace tests

#endif
