// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors

#include "http_sockets.h"

#include <algorithm>
#include <cerrno>
#include <exception>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

namespace httpcache {

struct HttpSockets::Callbacks {
  static curl_socket_t open(void *opaque, curlsocktype, curl_sockaddr *address) {
    auto &opener = *static_cast<Opener *>(opaque);
    HttpSockets &sockets = opener.sockets;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0) {
      opener.error = errno;
      return CURL_SOCKET_BAD;
    }
    try {
      sockets.last_peer_.assign(reinterpret_cast<const char *>(&address->addr), address->addrlen);
      sockets.sockets_[fd] = {++sockets.last_number_, sockets.last_peer_};
    } catch (const std::exception &) { // it is not counted, and has no number in traces
    }
    return fd;
  }

  static int close(void *opaque, curl_socket_t fd) {
    static_cast<HttpSockets *>(opaque)->sockets_.erase(fd);
    shutdown(fd, SHUT_RDWR);
    return ::close(fd);
  }
};

bool HttpSockets::attach(void *easy, Opener &opener) {
  CURL *c = static_cast<CURL *>(easy);
  return curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, &Callbacks::open) == CURLE_OK &&
         curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, &opener) == CURLE_OK &&
         curl_easy_setopt(c, CURLOPT_CLOSESOCKETFUNCTION, &Callbacks::close) == CURLE_OK &&
         curl_easy_setopt(c, CURLOPT_CLOSESOCKETDATA, this) == CURLE_OK;
}

// By the local port: libcurl tells the descriptor itself only when a request has
// ended, and 7.88 not even then while others use the connection.
std::optional<unsigned> HttpSockets::number_of(void *easy) const {
  long port = 0;
  curl_easy_getinfo(static_cast<CURL *>(easy), CURLINFO_LOCAL_PORT, &port);
  if (port <= 0)
    return std::nullopt;
  for (const auto &[fd, socket] : sockets_) {
    union {
      sockaddr any;
      sockaddr_in v4;
      sockaddr_in6 v6;
    } address{};
    socklen_t length = sizeof address;
    if (getsockname(fd, &address.any, &length) == 0 &&
        ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port
              : address.any.sa_family == AF_INET ? address.v4.sin_port
                                                 : in_port_t{0}) == port)
      return socket.number;
  }
  return std::nullopt;
}

std::optional<unsigned> HttpSockets::number_of_ended(void *easy) const {
  curl_socket_t fd = CURL_SOCKET_BAD;
  curl_easy_getinfo(static_cast<CURL *>(easy), CURLINFO_ACTIVESOCKET, &fd);
  auto found = sockets_.find(fd);
  return found != sockets_.end() ? found->second.number : number_of(easy);
}

size_t HttpSockets::open() const {
  auto count = std::count_if(sockets_.begin(), sockets_.end(), [this](const auto &each) {
    return each.second.peer == last_peer_;
  });
  return static_cast<size_t>(count);
}

void HttpSockets::cut(unsigned number) {
  for (const auto &[fd, socket] : sockets_)
    if (socket.number == number)
      shutdown(fd, SHUT_RD); // what it still says to the server may go out
}

std::optional<Duration> HttpSockets::handshake_trip() const {
  for (const auto &[fd, socket] : sockets_) {
    tcp_info info{};
    socklen_t length = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
        info.tcpi_state == TCP_ESTABLISHED && info.tcpi_rtt > 0)
      return from_us(info.tcpi_rtt);
  }
  return std::nullopt;
}

} // namespace httpcache
