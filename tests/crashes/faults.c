/* Faults at a chosen write below a folder: the process is killed there, half of a write done, or the disk is full from
   there on. Loaded before the C library (LD_PRELOAD), so that whatever writes is met: Python, HDF5, numpy. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COUNT, KILL, FULL };
#define MOST_FILES 65536
#define MOST_CALLS 1000000
#define CALL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, #name)

static char folder[4096], is_ours[MOST_FILES];
static size_t length;
static long at;
static int mode;
static struct { long count; char kinds[MOST_CALLS]; } *seen; /* shared with whoever forked this process */

/* Begin to count the calls on files below a folder; at the call of that number (from 1) comes the fault. */
void faults_begin(const char *below, long number, int kind) {
    length = strlen(below);
    if (length >= sizeof folder) abort();
    memcpy(folder, below, length + 1);
    at = number;
    mode = kind;
    if (!seen) seen = mmap(0, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    seen->count = 0;
}

/* Return how many calls there were since, and which: o(pen), w(rite), s(ync), r(ename), m(kdir). */
long faults_seen(char *kinds, long most) {
    long count = seen->count < most ? seen->count : most;
    memcpy(kinds, seen->kinds, count);
    return seen->count;
}

static int below(const char *path) {
    return length && path && !strncmp(path, folder, length) && (!path[length] || path[length] == '/');
}

static int strikes(char kind) { /* whether this call fails; where it is to be the last, the process ends */
    long number = __sync_add_and_fetch(&seen->count, 1);
    if (number <= MOST_CALLS) seen->kinds[number - 1] = kind;
    if (mode == KILL && number == at && kind != 'w') kill(getpid(), SIGKILL);
    if (mode == FULL && number >= at) { errno = ENOSPC; return 1; }
    return mode == KILL && number == at;
}

static int note(int descriptor, const char *path) {
    if (descriptor >= 0 && descriptor < MOST_FILES) is_ours[descriptor] = below(path);
    return descriptor;
}

#define OPENS(name)                                                                   \
    int name(const char *path, int flags, ...) {                                      \
        CALL(int, name, const char *, int, ...);                                      \
        va_list more; va_start(more, flags); mode_t rights = va_arg(more, mode_t); va_end(more); \
        if (below(path) && flags & (O_WRONLY | O_RDWR | O_CREAT) && strikes('o')) return -1; \
        return note(real(path, flags, rights), path);                                 \
    }
OPENS(open)
OPENS(open64)

#define OPENS_AT(name)                                                                \
    int name(int at_folder, const char *path, int flags, ...) {                       \
        CALL(int, name, int, const char *, int, ...);                                 \
        va_list more; va_start(more, flags); mode_t rights = va_arg(more, mode_t); va_end(more); \
        if (below(path) && flags & (O_WRONLY | O_RDWR | O_CREAT) && strikes('o')) return -1; \
        return note(real(at_folder, path, flags, rights), path);                      \
    }
OPENS_AT(openat)
OPENS_AT(openat64)

static int written(int descriptor) { return descriptor >= 0 && descriptor < MOST_FILES && is_ours[descriptor]; }

ssize_t write(int descriptor, const void *data, size_t size) {
    CALL(ssize_t, write, int, const void *, size_t);
    if (written(descriptor) && strikes('w')) {
        if (mode == FULL) return -1;
        real(descriptor, data, size / 2);
        kill(getpid(), SIGKILL);
    }
    return real(descriptor, data, size);
}

#define WRITES_AT(name)                                                               \
    ssize_t name(int descriptor, const void *data, size_t size, off_t place) {        \
        CALL(ssize_t, name, int, const void *, size_t, off_t);                        \
        if (written(descriptor) && strikes('w')) {                                    \
            if (mode == FULL) return -1;                                              \
            real(descriptor, data, size / 2, place);                                  \
            kill(getpid(), SIGKILL);                                                  \
        }                                                                             \
        return real(descriptor, data, size, place);                                   \
    }
WRITES_AT(pwrite)
WRITES_AT(pwrite64)

int close(int descriptor) {
    CALL(int, close, int);
    if (descriptor >= 0 && descriptor < MOST_FILES) is_ours[descriptor] = 0;
    return real(descriptor);
}

int fsync(int descriptor) {
    CALL(int, fsync, int);
    return written(descriptor) && strikes('s') ? -1 : real(descriptor);
}

int rename(const char *from, const char *to) {
    CALL(int, rename, const char *, const char *);
    return below(to) && strikes('r') ? -1 : real(from, to);
}

int mkdir(const char *path, mode_t rights) {
    CALL(int, mkdir, const char *, mode_t);
    return below(path) && strikes('m') ? -1 : real(path, rights);
}
