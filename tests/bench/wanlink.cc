// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// wanlink - a long link between two network namespaces of this machine.
//
//     wanlink --rtt MS --rate MBIT [--loss PERCENT] [--queue-ms MS] [--cc NAME]
//             [--net N] [--client-namespace PATH]
//
// It unshares two namespaces that have no name, gives each a TUN device wanN (the
// origin's is 198.18.N.1, the client's 198.18.N.2; N is 0 if not said), prints
//
//     ready /proc/PID/fd/A /proc/PID/fd/B
//
// which are the origin's and the client's namespace for setns(2) or for
// nsenter --net=, and carries packets until SIGTERM or SIGINT.  Nothing is left
// behind however it ends: a namespace ends with the last who uses it.  SIGUSR1
// makes it print "carried DOWN_BYTES DOWN_DROPS UP_BYTES UP_DROPS", counted
// from the start; down is towards the client.
//
// With --client-namespace the client's end is made in a namespace that is there,
// such as another wanlink's: a client with several links, each with a net of its own.
//
// Only the wire is simulated.  TCP is the kernel's, with its handshakes, slow
// starts and idle restarts; --cc chooses the congestion control of both ends.
// Each direction is a drop-tail queue of --queue-ms (but 64 kB at least) that
// drains at --rate, then a delay of half of --rtt.  --loss is of 1460 bytes.
//
// Packets cross as the kernel makes them before segmentation, up to what the
// link carries in a quarter of a millisecond, so that one core can carry a few
// Gbit/s.  A lost packet is lost as a whole.
//
// What it costs is mostly system calls and copies.  A packet is read into the
// place where it waits and written from there: no copy of our own.  While
// packets come, the loop turns once a tick (1/100 of the round trip, 0.05 to
// 0.5 ms) and takes all that have come; only when none has does it poll.

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;
using Nanos = std::chrono::nanoseconds;

volatile std::sig_atomic_t stop_wanted = 0;
volatile std::sig_atomic_t figures_wanted = 0;

[[noreturn]] void die(const std::string &what)
{
  std::fprintf(stderr, "wanlink: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

// --- The two ends -----------------------------------------------------------

// struct virtio_net_hdr, whose header of the kernel does not compile as C++.
struct OffloadHeader {
  uint8_t flags, gso_type;
  uint16_t hdr_len, gso_size, csum_start, csum_offset;
};

struct End {
  int tun;       // packets that the kernel sends on this end, and gets here
  int name_space; // of it, as a descriptor
};

// In the namespace where this process is.
void ip(const std::string &arguments)
{
  errno = 0;
  if (std::system(("ip " + arguments).c_str()) != 0)
    die("ip " + arguments);
}

// Moves this process to that namespace, or to a new one, which has only this end of the
// link.
void enter(const std::string &name_space)
{
  if (name_space.empty()) {
    if (unshare(CLONE_NEWNET) < 0)
      die("a network namespace (are you root?)");
    return;
  }
  int fd = open(name_space.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
    die(name_space);
  close(fd);
}

// In the namespace where this process is.
End make_end(const std::string &net, const char *host, int largest_packet,
             const std::string &congestion_control)
{
  std::string device = "wan" + net, address = "198.18." + net + "." + host;
  End end{};
  end.name_space = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  end.tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (end.name_space < 0 || end.tun < 0)
    die("/dev/net/tun");

  ifreq request{};
  std::strncpy(request.ifr_name, device.c_str(), IFNAMSIZ - 1);
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if (ioctl(end.tun, TUNSETIFF, &request) < 0)
    die("TUNSETIFF");
  int header_size = sizeof(OffloadHeader);
  if (ioctl(end.tun, TUNSETVNETHDRSZ, &header_size) < 0 ||
      ioctl(end.tun, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
    die("offloads of TUN");

  // What one connection learned of the link is not for the next: each way that
  // is measured begins as the first one did.
  std::ofstream("/proc/sys/net/ipv4/tcp_no_metrics_save") << 1;
  ip("link set lo up");
  ip("address add " + address + "/24 dev " + device);
  ip("link set " + device + " mtu 1500 txqueuelen 5000 gso_max_size " +
     std::to_string(largest_packet) + " up");
  if (!congestion_control.empty())
    ip("route replace 198.18." + net + ".0/24 dev " + device + " src " + address +
       " congctl " + congestion_control);
  return end;
}

// --- One direction ----------------------------------------------------------

class Direction {
public:
  Direction(int from, int to, Nanos delay, double bytes_per_ns,
            double queue_bytes, double loss)
    : from_(from), to_(to), delay_(delay), bytes_per_ns_(bytes_per_ns),
      queue_bytes_(queue_bytes), loss_(loss),
      memory_(static_cast<size_t>(2 * (queue_bytes + bytes_in(delay))) + 8 * kLargest)
  {
  }

  // Puts on the wire, or drops, what the kernel has sent since the last time;
  // gives how many packets.
  int take_in(Clock::time_point now)
  {
    for (int packets = 0;; packets++) {
      char *place = room();
      char spare[kLargest];
      ssize_t n = read(from_, place != nullptr ? place : spare, kLargest);
      if (n <= static_cast<ssize_t>(sizeof(OffloadHeader)))
        return packets;
      auto length = static_cast<size_t>(n);
      if (place == nullptr || unlucky(length) || !fits(length, now)) {
        dropped++;
        continue;
      }
      wire_free_ = std::max(wire_free_, now) +
                   Nanos(static_cast<int64_t>(static_cast<double>(length) / bytes_per_ns_));
      packets_.push_back({wire_free_ + delay_, place, length});
      carried += length;
    }
  }

  // Hands over what has arrived; gives when the next packet does.
  Clock::time_point deliver(Clock::time_point now)
  {
    while (!packets_.empty()) {
      const Packet &packet = packets_.front();
      if (packet.arrives > now)
        return packet.arrives;
      if (write(to_, packet.bytes, packet.length) < 0 && errno == EAGAIN)
        return now;
      packets_.pop_front();
    }
    return Clock::time_point::max();
  }

  unsigned long long carried = 0, dropped = 0;

private:
  static constexpr size_t kLargest = 70'000;

  struct Packet {
    Clock::time_point arrives;
    char *bytes;
    size_t length;
  };

  // Where the next packet can be put: behind the last one, or where the ring
  // begins anew.  Null when all is taken.
  char *room()
  {
    char *begin = memory_.data(), *end = begin + memory_.size();
    if (packets_.empty())
      return begin;
    char *oldest = packets_.front().bytes;
    char *free = packets_.back().bytes + packets_.back().length;
    if (free > oldest) {
      if (end - free >= static_cast<ptrdiff_t>(kLargest))
        return free;
      free = begin;
    }
    return oldest - free > static_cast<ptrdiff_t>(kLargest) ? free : nullptr;
  }

  double bytes_in(Nanos time) const
  {
    return static_cast<double>(time.count()) * bytes_per_ns_;
  }

  bool fits(size_t length, Clock::time_point now) const
  {
    if (wire_free_ <= now)
      return true;
    return bytes_in(wire_free_ - now) + static_cast<double>(length) <= queue_bytes_;
  }

  bool unlucky(size_t length)
  {
    double segments = std::max(1.0, static_cast<double>(length) / 1460);
    return loss_ > 0 && random_(generator_) < loss_ * segments;
  }

  const int from_, to_;
  const Nanos delay_;
  const double bytes_per_ns_, queue_bytes_, loss_;
  std::vector<char> memory_;    // a ring of the packets, which are in order
  std::deque<Packet> packets_;
  Clock::time_point wire_free_; // when all that waits has been sent
  std::mt19937 generator_{12345};
  std::uniform_real_distribution<double> random_{0, 1};
};

// --- The command line -------------------------------------------------------

struct Options {
  double rtt_ms = 0, rate_mbit = 0, queue_ms = 20, loss_percent = 0, net = 0;
  std::string congestion_control, client_namespace;
};

Options parse(int argc, char **argv)
{
  Options options;
  bool right = argc % 2 == 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    std::string key = argv[i];
    char *rest = argv[i + 1];
    bool word = key == "--cc" || key == "--client-namespace";
    double number = word ? 0 : std::strtod(argv[i + 1], &rest);
    if (key == "--rtt") options.rtt_ms = number;
    else if (key == "--rate") options.rate_mbit = number;
    else if (key == "--queue-ms") options.queue_ms = number;
    else if (key == "--loss") options.loss_percent = number;
    else if (key == "--net") options.net = number;
    else if (key == "--cc") options.congestion_control = argv[i + 1];
    else if (key == "--client-namespace") options.client_namespace = argv[i + 1];
    else right = false;
    right = right && (word || *rest == '\0') && number >= 0;
  }
  if (!right || options.rate_mbit <= 0 || options.net > 255) {
    std::fputs("usage: wanlink --rtt MS --rate MBIT [--loss PERCENT] [--queue-ms MS] "
               "[--cc NAME] [--net N] [--client-namespace PATH]\n", stderr);
    std::exit(2);
  }
  return options;
}

// The signal comes in ppoll only, so that none is missed.
void handle(int number, void (*handler)(int))
{
  struct sigaction action{};
  action.sa_handler = handler;
  sigaction(number, &action, nullptr);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, number);
  sigprocmask(SIG_BLOCK, &one, nullptr);
}

} // namespace

int main(int argc, char **argv)
{
  Options options = parse(argc, argv);
  double bytes_per_ns = options.rate_mbit / 8e3;
  int largest = std::clamp(static_cast<int>(bytes_per_ns * 0.25e6), 3000, 65'536);
  double queue_bytes = std::max(64e3, options.queue_ms * 1e6 * bytes_per_ns);
  Nanos delay(static_cast<int64_t>(options.rtt_ms * 1e6 / 2));
  Nanos tick(std::clamp<int64_t>(delay.count() / 50, 50'000, 500'000));

  std::string net = std::to_string(static_cast<int>(options.net));
  enter("");
  End origin = make_end(net, "1", largest, options.congestion_control);
  enter(options.client_namespace);
  End client = make_end(net, "2", largest, options.congestion_control);
  Direction down(origin.tun, client.tun, delay, bytes_per_ns, queue_bytes,
                 options.loss_percent / 100);
  Direction up(client.tun, origin.tun, delay, bytes_per_ns, queue_bytes,
               options.loss_percent / 100);

  handle(SIGTERM, [](int) { stop_wanted = 1; });
  handle(SIGINT, [](int) { stop_wanted = 1; });
  handle(SIGUSR1, [](int) { figures_wanted = 1; });
  prctl(PR_SET_TIMERSLACK, 1000UL);
  std::printf("ready /proc/%d/fd/%d /proc/%d/fd/%d\n", getpid(), origin.name_space,
              getpid(), client.name_space);
  std::fflush(stdout);

  sigset_t no_signals;
  sigemptyset(&no_signals);
  while (!stop_wanted) {
    auto now = Clock::now();
    int in = down.take_in(now) + up.take_in(now);
    auto due = std::min(down.deliver(now), up.deliver(now));
    if (figures_wanted) {
      figures_wanted = 0;
      std::printf("carried %llu %llu %llu %llu\n", down.carried, down.dropped, up.carried,
                  up.dropped);
      std::fflush(stdout);
    }
    if (in > 0) {
      timespec pause{0, static_cast<long>(tick.count())};
      ppoll(nullptr, 0, &pause, &no_signals);
    }
    else {
      Nanos left = std::clamp(Nanos(due - now), Nanos(0), Nanos(999'999'999));
      timespec pause{0, static_cast<long>(left.count())};
      pollfd ends[2] = {{origin.tun, POLLIN, 0}, {client.tun, POLLIN, 0}};
      ppoll(ends, 2, &pause, &no_signals);
    }
  }
}
