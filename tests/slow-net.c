/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the httpcache authors
 *
 * A library to preload: names that begin with "slow" take SLOW_DNS_S seconds
 * to be looked up, then are this machine, but no name server answers as long as
 * there is a file NO_DNS; with FAKE_TRIP_US every TCP connection says that its
 * round trip takes so long.  Loopback has nothing of this.  And options set on
 * sockets are lines "LEVEL NAME VALUE" in the file LOG_SOCKOPT.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef int (*getaddrinfo_fn) (const char *, const char *, const struct addrinfo *,
                               struct addrinfo **);
typedef int (*getsockopt_fn) (int, int, int, void *, socklen_t *);
typedef int (*setsockopt_fn) (int, int, int, const void *, socklen_t);

int
getaddrinfo (const char *node, const char *service, const struct addrinfo *hints,
             struct addrinfo **result)
{
  getaddrinfo_fn real = (getaddrinfo_fn) dlsym (RTLD_NEXT, "getaddrinfo");
  const char *seconds = getenv ("SLOW_DNS_S");

  if (node != NULL && seconds != NULL && strncmp (node, "slow", 4) == 0) {
    const char *no_dns = getenv ("NO_DNS");

    if (no_dns != NULL && access (no_dns, F_OK) == 0)
      return EAI_AGAIN;
    sleep ((unsigned) atoi (seconds));
    node = "127.0.0.1";
  }
  return real (node, service, hints, result);
}

int
getsockopt (int fd, int level, int name, void *value, socklen_t *length)
{
  getsockopt_fn real = (getsockopt_fn) dlsym (RTLD_NEXT, "getsockopt");
  int r = real (fd, level, name, value, length);
  const char *trip = getenv ("FAKE_TRIP_US");

  if (r == 0 && trip != NULL && level == IPPROTO_TCP && name == TCP_INFO)
    ((struct tcp_info *) value)->tcpi_rtt = (unsigned) atoi (trip);
  return r;
}

int
setsockopt (int fd, int level, int name, const void *value, socklen_t length)
{
  setsockopt_fn real = (setsockopt_fn) dlsym (RTLD_NEXT, "setsockopt");
  const char *file = getenv ("LOG_SOCKOPT");

  if (file != NULL && length == sizeof (int)) {
    char line[64];
    int n = snprintf (line, sizeof line, "%d %d %d\n", level, name, *(const int *) value);
    int log = open (file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (log >= 0) {
      if (write (log, line, (size_t) n) != n)
        abort ();
      close (log);
    }
  }
  return real (fd, level, name, value, length);
}
