// SPDX-License-Identifier: BSD-3-Clause
// Copyright the httpcache authors
//
// plugin.cc - the face towards nbdkit: its callbacks, and nothing else.
//
// Each callback runs inside guarded(), so that nothing is thrown into nbdkit,
// and an Error becomes nbdkit_error and nbdkit_set_error here, on the thread
// that asked, because nbdkit keeps both per thread.  How the plugin works is
// told in image.h.
//
// Life, as nbdkit-plugin(3) orders it: load, config..., config_complete,
// get_ready (the URL is asked: errors still reach the user), fork, after_fork
// (threads start), connections, cleanup (threads end), unload.  After --help
// and --dump-plugin only load and unload run.

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>

#include "build_config.h"
#include "config.h"
#include "curl_library.h"
#include "error.h"
#include "image.h"
#include "log.h"

namespace httpcache {
namespace {

// One image for each nbdkit process.  A pointer and not objects, so that no
// destructor is left for dlclose.
struct Plugin {
  ConfigDraft draft;
  std::optional<Config> config;
  std::unique_ptr<Image> image;
};
Plugin *plugin;

// NBD has few error codes, and nbdkit turns all but these into EINVAL.
int nbd_errno(int err) {
  switch (err) {
  case EPERM:
  case EIO:
  case ENOMEM:
  case EINVAL:
  case ENOSPC:
  case EOVERFLOW:
  case ENOTSUP:
  case ESHUTDOWN:
    return err;
  default:
    return EIO;
  }
}

int report(const Error &error) {
  // Nobody wants to be told by each of sixteen threads that their client has gone, or by
  // each of a thousand reads that the file has changed.
  static std::atomic<bool> change_told{false};
  bool told = error.told || error.kind == ErrorKind::Cancelled ||
              (error.kind == ErrorKind::Changed && change_told.exchange(true));
  if (told)
    nbdkit_debug("%s", error.what.c_str());
  else
    nbdkit_error("%s", error.what.c_str());
  nbdkit_set_error(nbd_errno(error.err));
  return -1;
}

// Runs F, which gives a Result<void>: 0, or -1 with the error told to nbdkit.
template <typename F> int guarded(F &&f) {
  try {
    Result<void> result = f();
    return result ? 0 : report(result.error());
  } catch (const std::bad_alloc &) {
    nbdkit_error("out of memory");
    nbdkit_set_error(ENOMEM);
  } catch (const std::exception &e) {
    nbdkit_error("unexpected: %s", e.what());
    nbdkit_set_error(EIO);
  }
  return -1;
}

// Should a waiting read be given up?  nbdkit tells in only one way: its sleep
// ends early when the server shuts down or the client has gone.
class NbdkitCancel final : public CancelCheck {
public:
  bool cancelled() override { return nbdkit_nanosleep(0, 1) == -1; }
};

void load() {
  (void)guarded([]() -> Result<void> {
    if (Result<void> started = curl_library_start(); !started)
      return started;
    plugin = new Plugin;
    return {};
  });
  // .load cannot fail; without `plugin` the first .config says so.
}

void unload() {
  if (plugin == nullptr)
    return;
  delete plugin;
  plugin = nullptr;
  curl_library_end();
}

int config(const char *key, const char *value) {
  return guarded([&]() -> Result<void> {
    if (plugin == nullptr)
      return Error{ErrorKind::LocalIo, ENOMEM, 0, "the plugin could not be set up", {}};
    return config_set(plugin->draft, key, value);
  });
}

int config_complete() {
  return guarded([]() -> Result<void> {
    if (plugin == nullptr)
      return Error{ErrorKind::LocalIo, ENOMEM, 0, "the plugin could not be set up", {}};
    Result<Config> finished = config_finish(std::move(plugin->draft));
    if (!finished)
      return std::move(finished).error();
    plugin->config = std::move(finished).value();
    return {};
  });
}

void dump_plugin() {
  (void)guarded([]() -> Result<void> {
    std::fputs(curl_library_dump().c_str(), stdout);
    std::fputs(config_dump().c_str(), stdout);
    return {};
  });
}

int get_ready() {
  return guarded([]() -> Result<void> {
    Result<std::unique_ptr<Image>> image = Image::open(*plugin->config);
    if (!image)
      return std::move(image).error();
    plugin->image = std::move(image).value();
    return {};
  });
}

// Without a thread it is open() that fails: were it this, nbdkit --run would wait for
// ever for a client that waits for nbdkit.
int after_fork() {
  (void)guarded([]() { return plugin->image->start(); });
  return 0;
}

void cleanup() {
  (void)guarded([]() -> Result<void> {
    if (plugin != nullptr && plugin->image)
      plugin->image->stop();
    return {};
  });
}

void *open(int) {
  // One image, under the empty name; a client that asks for another must not
  // be given this one.
  const char *name = nbdkit_export_name();
  if (name == nullptr)
    return nullptr;
  if (*name != '\0') {
    (void)guarded([&]() -> Result<void> {
      return Error{ErrorKind::Permanent, EINVAL, 0,
                   "there is no export \"" + escape_controls(std::string_view(name).substr(0, 64)) +
                       "\", only the default one, \"\"",
                   {}};
    });
    return nullptr;
  }
  if (guarded([]() { return plugin->image->start(); }) == -1)
    return nullptr;
  return NBDKIT_HANDLE_NOT_NEEDED;
}

int64_t get_size(void *) { return static_cast<int64_t>(plugin->image->size()); }
int can_write(void *) { return 0; }
int is_rotational(void *) { return 0; }
int can_multi_conn(void *) { return 1; } // read-only: all connections see the same
int can_cache(void *) { return NBDKIT_CACHE_NATIVE; }

int block_size(void *, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum) {
  // nbdkit wants 512 .. 32M, and config keeps the block size within 4K .. 32M.
  *minimum = 1;
  *preferred = plugin->image->block_size();
  *maximum = UINT32_MAX; // no limit of ours
  return 0;
}

const char *export_description(void *) {
  const char *text = nullptr;
  (void)guarded([&]() -> Result<void> {
    text = nbdkit_strdup_intern(plugin->image->description().c_str());
    return {};
  });
  return text;
}

int pread(void *, void *buffer, uint32_t count, uint64_t offset, uint32_t) {
  return guarded([&]() {
    NbdkitCancel cancel;
    return plugin->image->read({static_cast<char *>(buffer), count}, offset, cancel);
  });
}

int cache(void *, uint32_t count, uint64_t offset, uint32_t) {
  return guarded([&]() -> Result<void> {
    plugin->image->prefetch(offset, count);
    return {};
  });
}

// A function, because C++ has no designated initialisers for a struct whose
// members come in an order of their own.
nbdkit_plugin make_plugin() {
  static const std::string help = config_help();
  nbdkit_plugin p{};
  p.name = "httpcache";
  p.longname = "nbdkit httpcache plugin";
  p.version = PACKAGE_VERSION;
  p.description = "Serves a disk image that is on a web server, as fast as it can be downloaded";
  p.load = load;
  p.unload = unload;
  p.config = config;
  p.config_complete = config_complete;
  p.config_help = help.c_str();
  p.magic_config_key = "url";
  p.dump_plugin = dump_plugin;
  p.get_ready = get_ready;
  p.after_fork = after_fork;
  p.cleanup = cleanup;
  p.open = open;
  p.get_size = get_size;
  p.can_write = can_write;
  p.is_rotational = is_rotational;
  p.can_multi_conn = can_multi_conn;
  p.can_cache = can_cache;
  p.block_size = block_size;
  p.export_description = export_description;
  p.pread = pread;
  p.cache = cache;
  p.errno_is_preserved = 0; // nbdkit_set_error tells it; libcurl spoils errno
  return p;
}

nbdkit_plugin the_plugin = make_plugin();

} // namespace
} // namespace httpcache

NBDKIT_REGISTER_PLUGIN(httpcache::the_plugin)
