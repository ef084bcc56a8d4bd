/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the httpcache authors
 *
 * faulty.c - what a process asks of the system fails, when a test says so.
 *
 * Preloaded into nbdkit.  The file FAULTY_CONTROL holds three decimal numbers in
 * four digits each, which the test overwrites at any time: of 1000 allocations so
 * many fail (malloc, calloc, realloc and what comes down to them), of 1000 sockets
 * so many (EMFILE), and of 1000 threads (EAGAIN).
 *
 * Only what the plugin, libcurl, libstdc++ and libfmt call fails: how nbdkit itself
 * bears it is not what is tested.  Nor is how libcurl does within curl_multi_perform:
 * there 7.88 divides by the size of a hash that it could not allocate, once in some
 * thousand failures; but its other calls, and what it calls back, do fail.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *old, size_t size);

enum { ALLOCATIONS, DESCRIPTORS, THREADS };

static const char *control;
static atomic_uint seed = 12345;
static struct { uintptr_t begin, end; bool libcurl; } ours[16];
static _Thread_local bool performing;
static atomic_int n_ours;
static atomic_bool all_seen; /* the plugin, and so what it is linked with */

__attribute__((constructor)) static void map_control(void)
{
    const char *path = getenv("FAULTY_CONTROL");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *p = mmap(NULL, 16, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (p != MAP_FAILED)
        control = p;
}

static int note(struct dl_phdr_info *info, size_t size, void *opaque)
{
    static const char *const names[] = {"nbdkit-httpcache-plugin", "libcurl", "libstdc++", "libfmt"};
    int *n = opaque;
    (void)size;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strstr(info->dlpi_name, names[i])) {
            if (i == 0)
                all_seen = true;
            for (int h = 0; h < info->dlpi_phnum && *n < 16; h++)
                if (info->dlpi_phdr[h].p_type == PT_LOAD && (info->dlpi_phdr[h].p_flags & PF_X)) {
                    ours[*n].begin = info->dlpi_addr + info->dlpi_phdr[h].p_vaddr;
                    ours[*n].end = ours[*n].begin + info->dlpi_phdr[h].p_memsz;
                    ours[*n].libcurl = strstr(info->dlpi_name, "libcurl") != NULL;
                    ++*n;
                }
        }
    return 0;
}

static int per_mille(int what)
{
    const char *p = control + 4 * what;
    return (p[0] - '0') * 1000 + (p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0');
}

static int fails(int what, const void *caller)
{
    if (!control)
        return 0;
    int chance = per_mille(what);
    if (chance <= 0)
        return 0;
    if (!all_seen) {
        int n = 0;
        dl_iterate_phdr(note, &n);
        n_ours = n;
    }
    uintptr_t at = (uintptr_t)caller;
    for (int i = 0; i < n_ours; i++)
        if (at >= ours[i].begin && at < ours[i].end) {
            if (what == ALLOCATIONS && performing && ours[i].libcurl)
                return 0;
            unsigned x = atomic_fetch_add(&seed, 2654435761u);
            x ^= x >> 15;
            x *= 2246822519u;
            x ^= x >> 13;
            return (int)(x % 1000) < chance;
        }
    return 0;
}

void *malloc(size_t size)
{
    if (fails(ALLOCATIONS, __builtin_return_address(0))) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    if (fails(ALLOCATIONS, __builtin_return_address(0))) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    if (fails(ALLOCATIONS, __builtin_return_address(0))) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_realloc(old, size);
}

int socket(int domain, int type, int protocol)
{
    static int (*next)(int, int, int);
    if (fails(DESCRIPTORS, __builtin_return_address(0))) {
        errno = EMFILE;
        return -1;
    }
    if (!next)
        next = (int (*)(int, int, int))dlsym(RTLD_NEXT, "socket");
    return next(domain, type, protocol);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
    static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (fails(THREADS, __builtin_return_address(0)))
        return EAGAIN;
    if (!next)
        next = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))dlsym(RTLD_NEXT, "pthread_create");
    return next(thread, attr, start, arg);
}

int curl_multi_perform(void *multi, int *running)
{
    static int (*next)(void *, int *);
    if (!next)
        next = (int (*)(void *, int *))dlsym(RTLD_NEXT, "curl_multi_perform");
    if (!next) /* loaded later than this */
        next = (int (*)(void *, int *))dlsym(dlopen("libcurl.so.4", RTLD_NOW | RTLD_NOLOAD), "curl_multi_perform");
    performing = true;
    int code = next(multi, running);
    performing = false;
    return code;
}
