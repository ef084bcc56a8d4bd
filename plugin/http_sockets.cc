// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "http_sockets.h"

#include <exception>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

namespace httpcache {

struct HttpSockets::Callbacks {
  static curl_socket_t open(void *opaque, curlsocktype, curl_sockaddr *address) {
    auto &sockets = *static_cast<HttpSockets *>(opaque);
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0)
      return CURL_SOCKET_BAD;
    try {
      sockets.numbers_[fd] = ++sockets.last_number_;
    } catch (const std::exception &) { // only a number in traces is lost
    }
    return fd;
  }

  static int close(void *opaque, curl_socket_t fd) {
    static_cast<HttpSockets *>(opaque)->numbers_.erase(fd);
    shutdown(fd, SHUT_RDWR);
    return ::close(fd);
  }
};

bool HttpSockets::attach(void *easy) {
  CURL *c = static_cast<CURL *>(easy);
  return curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, &Callbacks::open) == CURLE_OK &&
         curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, this) == CURLE_OK &&
         curl_easy_setopt(c, CURLOPT_CLOSESOCKETFUNCTION, &Callbacks::close) == CURLE_OK &&
         curl_easy_setopt(c, CURLOPT_CLOSESOCKETDATA, this) == CURLE_OK;
}

std::optional<unsigned> HttpSockets::number_of(int fd) const {
  auto found = numbers_.find(fd);
  if (found == numbers_.end())
    return std::nullopt;
  return found->second;
}

std::optional<Duration> HttpSockets::handshake_trip() const {
  for (const auto &[fd, number] : numbers_) {
    tcp_info info{};
    socklen_t length = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
        info.tcpi_state == TCP_ESTABLISHED && info.tcpi_rtt > 0)
      return from_us(info.tcpi_rtt);
  }
  return std::nullopt;
}

} // namespace httpcache
