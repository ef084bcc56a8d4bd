// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "web-server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "helpers.h"

namespace tests {

using httpcache::MutexLock;

namespace {

void fill_with_truth(uint64_t offset, std::span<char> out) {
  for (size_t i = 0; i < out.size(); i++)
    out[i] = truth(offset + i);
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0)
      return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

} // namespace

Server::Server(uint64_t size, Script script, Bytes bytes)
    : size_(size), script_(std::move(script)), bytes_(bytes ? std::move(bytes) : fill_with_truth) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  sockaddr *any = reinterpret_cast<sockaddr *>(&address);
  if (listener_ < 0 || bind(listener_, any, length) != 0 || listen(listener_, 64) != 0 ||
      getsockname(listener_, any, &length) != 0)
    throw std::system_error(errno, std::generic_category(), "cannot listen on the loopback interface");
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

Server::~Server() {
  release();
  {
    MutexLock lock(mu_);
    stopping_ = true;
    for (int fd : sockets_)
      shutdown(fd, SHUT_RDWR);
  }
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  for (std::thread &t : threads_)
    t.join();
  close(listener_);
}

void Server::release() {
  MutexLock lock(mu_);
  released_ = true;
  released_cond_.notify_all();
}

std::string Server::url() const { return fmt::format("http://127.0.0.1:{}/disk", port_); }

std::vector<Asked> Server::asked() {
  MutexLock lock(mu_);
  return asked_;
}

size_t Server::requests() {
  MutexLock lock(mu_);
  return asked_.size();
}

uint64_t Server::bytes_asked() {
  uint64_t sum = 0;
  for (const Asked &a : asked())
    sum += std::min(a.last, size_ - 1) - a.first + 1;
  return sum;
}

void Server::accept_all() {
  for (;;) {
    int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0)
      return;
    int one = 1; // or head and body wait for each other's acknowledgement
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    MutexLock lock(mu_);
    if (stopping_) {
      close(fd);
      return;
    }
    sockets_.push_back(fd);
    threads_.emplace_back([this, fd] { serve_all(fd); });
  }
}

void Server::serve_all(int fd) {
  std::string input;
  while (serve(fd, input))
    ;
  // Not closed while the number may still be shut down from outside.
  MutexLock lock(mu_);
  shutdown(fd, SHUT_RDWR);
  sockets_.erase(std::find(sockets_.begin(), sockets_.end(), fd));
  close(fd);
}

// One request. False: the connection is done with.
bool Server::serve(int fd, std::string &input) {
  size_t end;
  while ((end = input.find("\r\n\r\n")) == input.npos) {
    char buffer[4096];
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0)
      return false;
    input.append(buffer, static_cast<size_t>(n));
  }
  std::string head = input.substr(0, end);
  input.erase(0, end + 4);
  Asked asked;
  size_t range = head.find("Range: bytes=");
  if (range == head.npos ||
      std::sscanf(head.c_str() + range, "Range: bytes=%lu-%lu", &asked.first, &asked.last) != 2)
    return false;
  {
    MutexLock lock(mu_);
    asked.number = asked_.size();
    asked_.push_back(asked);
    most_at_once_ = std::max<uint64_t>(most_at_once_, ++at_once_);
  }
  bool keep = answer(fd, asked);
  MutexLock lock(mu_);
  --at_once_;
  return keep;
}

bool Server::answer(int fd, const Asked &asked) {
  Answer a = script_ ? script_(asked) : Answer{};
  if (a.held) {
    MutexLock lock(mu_);
    while (!released_)
      released_cond_.wait(lock);
  }
  bool has_body = a.status.starts_with("2");
  uint64_t first = a.whole ? 0 : asked.first + a.shift;
  uint64_t last = std::min(a.whole ? size_ : asked.last + 1, size_) - 1;
  last = std::min(last, first + std::min(a.most, size_) - 1);
  uint64_t length = has_body ? last - first + 1 : 0;
  std::string head = fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n", a.status, length);
  if (has_body && !a.whole)
    head += fmt::format("Content-Range: bytes {}-{}/{}\r\n", first, last, size_);
  if (!a.etag.empty())
    head += fmt::format("ETag: {}\r\n", a.etag);
  if (!send_all(fd, head + "\r\n"))
    return false;
  std::string body;
  for (uint64_t at = 0; at < std::min(length, a.cut); at += body.size()) {
    body.resize(std::min({length - at, a.cut - at, 256 * kKiB}));
    bytes_(first + at, body);
    if (!send_all(fd, body))
      return false;
  }
  return a.cut >= length;
}

} // namespace tests
