/* Records what a process tree does to the files of one folder, in the order in which it happened.
 *
 * proof/power_cut.py compiles it, preloads it, calls record_begin in a process, and reads the log. A record is seven
 * 64-bit numbers (kind, file, two numbers, the lengths of two names and of the data), then the names and the data.
 * The log is locked around each call and its record, for threads and forked children alike.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int log_file = -1;
static char root[PATH_MAX];
static size_t root_length;
static atomic_int *locked; /* shared with forked children */

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static void lock(void) {
    while (log_file >= 0 && atomic_exchange(locked, 1)) sched_yield();
}

static void unlock(void) {
    if (log_file >= 0) atomic_store(locked, 0);
}

static void put(const void *bytes, size_t length) {
    REAL(write);
    while (length) {
        ssize_t done = real(log_file, bytes, length);
        if (done <= 0) abort(); /* a log with a gap would prove nothing */
        bytes = (const char *)bytes + done;
        length -= done;
    }
}

static void record(char kind, uint64_t file, uint64_t one, uint64_t two, const char *name, const char *other,
                   const void *data, size_t length) {
    uint64_t head[] = {kind, file, one, two, strlen(name), strlen(other), length};
    put(head, sizeof head);
    put(name, strlen(name));
    put(other, strlen(other));
    put(data, length);
}

/* Starts to record in this process and in those that it forks. */
void record_begin(const char *folder, const char *log) {
    if (!realpath(folder, root)) abort();
    root_length = strlen(root);
    locked = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    log_file = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_file < 0 || locked == MAP_FAILED) abort();
}

/* Notes a promise that was given to somebody: from here on what it says must be there. */
void record_promise(const char *text) {
    lock();
    record('P', 0, 0, 0, "", "", text, strlen(text));
    unlock();
}

/* The path inside the folder, or NULL for another one. */
static const char *inside(const char *path) {
    if (strncmp(path, root, root_length) || (path[root_length] && path[root_length] != '/')) return NULL;
    return path[root_length] ? path + root_length + 1 : ".";
}

static const char *name_of(int descriptor, char *buffer) {
    char link[64];
    if (log_file < 0) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, buffer, PATH_MAX - 1);
    if (length < 0) return NULL;
    buffer[length] = 0;
    return inside(buffer);
}

/* The same for a path: its folder is looked up, for the last name may be a link or missing. */
static const char *name_at(int at, const char *path, char *buffer) {
    char folder[PATH_MAX], found[PATH_MAX], link[PATH_MAX + 64];
    if (log_file < 0) return NULL;
    const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    if (at == AT_FDCWD || *path == '/')
        snprintf(link, sizeof link, "%s", folder);
    else
        snprintf(link, sizeof link, "/proc/self/fd/%d/%s", at, folder);
    if (!realpath(link, found) || snprintf(buffer, PATH_MAX, "%s/%s", found, last) >= PATH_MAX) return NULL;
    return inside(buffer);
}

static uint64_t file_of(int descriptor) {
    struct stat found;
    if (fstat(descriptor, &found)) abort();
    return found.st_ino;
}

static int open_and_record(int at, const char *path, int flags, mode_t mode) {
    REAL(openat);
    char buffer[PATH_MAX], place[PATH_MAX];
    struct stat found;
    int wants = flags & (O_CREAT | O_TRUNC);
    lock();
    const char *name = wants ? name_at(at, path, buffer) : NULL;
    int is_new = name && fstatat(at, path, &found, 0) != 0;
    int descriptor = real(at, path, flags, mode);
    int error = errno;
    if (descriptor >= 0 && name) {
        if (is_new) {
            const char *real_name = name_of(descriptor, place);
            record('C', file_of(descriptor), 0, 0, real_name ? real_name : name, "", "", 0);
        } else if (flags & O_TRUNC)
            record('T', file_of(descriptor), 0, 0, "", "", "", 0);
    }
    unlock();
    errno = error;
    return descriptor;
}

#define MODE_OF(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) { \
        va_list more; \
        va_start(more, flags); \
        mode = va_arg(more, int); \
        va_end(more); \
    }

int open(const char *path, int flags, ...) { MODE_OF(flags) return open_and_record(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags) return open_and_record(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int at, const char *path, int flags, ...) { MODE_OF(flags) return open_and_record(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE_OF(flags) return open_and_record(at, path, flags | O_LARGEFILE, mode); }

#define WRITTEN(call, place) \
    char buffer[PATH_MAX]; \
    lock(); \
    const char *name = name_of(descriptor, buffer); \
    ssize_t done = call; \
    int error = errno; \
    if (done > 0 && name) record('W', file_of(descriptor), place, 0, "", "", data, done); \
    unlock(); \
    errno = error; \
    return done;

ssize_t write(int descriptor, const void *data, size_t length) {
    REAL(write);
    WRITTEN(real(descriptor, data, length), lseek(descriptor, 0, SEEK_CUR) - done)
}
ssize_t pwrite(int descriptor, const void *data, size_t length, off_t at) {
    REAL(pwrite);
    WRITTEN(real(descriptor, data, length, at), at)
}
ssize_t pwrite64(int descriptor, const void *data, size_t length, off64_t at) {
    REAL(pwrite64);
    WRITTEN(real(descriptor, data, length, at), at)
}

#define CHANGED(kind, value, call) \
    char buffer[PATH_MAX]; \
    lock(); \
    const char *name = name_of(descriptor, buffer); \
    int done = call; \
    int error = errno; \
    if (done == 0 && name) record(kind, file_of(descriptor), value, 0, name, "", "", 0); \
    unlock(); \
    errno = error; \
    return done;

int fsync(int descriptor) { REAL(fsync); CHANGED('S', 0, real(descriptor)) }
int fdatasync(int descriptor) { REAL(fdatasync); CHANGED('S', 0, real(descriptor)) }
int ftruncate(int descriptor, off_t size) { REAL(ftruncate); CHANGED('T', size, real(descriptor, size)) }
int ftruncate64(int descriptor, off64_t size) { REAL(ftruncate64); CHANGED('T', size, real(descriptor, size)) }

static int named(char kind, int at, const char *path, int other_at, const char *other, int call(int, const char *, int, const char *, int), int more) {
    char buffer[PATH_MAX], second[PATH_MAX];
    lock();
    const char *name = name_at(at, path, buffer), *to = other ? name_at(other_at, other, second) : "";
    int done = call(at, path, other_at, other, more);
    int error = errno;
    if (done == 0 && (name || (other && to))) record(kind, 0, 0, 0, name ? name : "", to ? to : "", "", 0);
    unlock();
    errno = error;
    return done;
}

static int do_rename(int at, const char *path, int to_at, const char *to, int more) { REAL(renameat); (void)more; return real(at, path, to_at, to); }
static int do_link(int at, const char *path, int to_at, const char *to, int more) { REAL(linkat); return real(at, path, to_at, to, more); }
static int do_unlink(int at, const char *path, int to_at, const char *to, int more) { REAL(unlinkat); (void)to_at; (void)to; return real(at, path, more); }
static int do_mkdir(int at, const char *path, int to_at, const char *to, int more) { REAL(mkdirat); (void)to_at; (void)to; return real(at, path, more); }

int rename(const char *path, const char *to) { return named('R', AT_FDCWD, path, AT_FDCWD, to, do_rename, 0); }
int renameat(int at, const char *path, int to_at, const char *to) { return named('R', at, path, to_at, to, do_rename, 0); }
int link(const char *path, const char *to) { return named('L', AT_FDCWD, path, AT_FDCWD, to, do_link, 0); }
int linkat(int at, const char *path, int to_at, const char *to, int flags) { return named('L', at, path, to_at, to, do_link, flags); }
int unlink(const char *path) { return named('U', AT_FDCWD, path, 0, NULL, do_unlink, 0); }
int unlinkat(int at, const char *path, int flags) { return named('U', at, path, 0, NULL, do_unlink, flags); }
int rmdir(const char *path) { return named('U', AT_FDCWD, path, 0, NULL, do_unlink, AT_REMOVEDIR); }
int mkdir(const char *path, mode_t mode) { return named('M', AT_FDCWD, path, 0, NULL, do_mkdir, mode); }
int mkdirat(int at, const char *path, mode_t mode) { return named('M', at, path, 0, NULL, do_mkdir, mode); }

/* These change files in ways that the log cannot tell: programs fall back to others, or the reader refuses. */
static int refuse(const char *what, int descriptor) {
    char buffer[PATH_MAX];
    const char *name = name_of(descriptor, buffer);
    if (!name) return 0;
    lock();
    record('X', 0, 0, 0, what, name, "", 0);
    unlock();
    return 1;
}

void *mmap64(void *at, size_t length, int rights, int flags, int descriptor, off64_t from) {
    REAL(mmap64);
    if (descriptor >= 0 && (rights & PROT_WRITE) && (flags & MAP_SHARED)) refuse("mmap", descriptor);
    return real(at, length, rights, flags, descriptor, from);
}
void *mmap(void *at, size_t length, int rights, int flags, int descriptor, off_t from) { return mmap64(at, length, rights, flags, descriptor, from); }

ssize_t sendfile(int to, int from, off_t *at, size_t length) {
    ssize_t (*real)(int, int, off_t *, size_t) = dlsym(RTLD_NEXT, "sendfile");
    char buffer[PATH_MAX];
    if (name_of(to, buffer)) return errno = EINVAL, -1; /* Python reads and writes then */
    return real(to, from, at, length);
}
ssize_t sendfile64(int to, int from, off_t *at, size_t length) { return sendfile(to, from, at, length); }

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    REAL(writev);
    refuse("writev", descriptor);
    return real(descriptor, parts, count);
}
int truncate(const char *path, off_t size) {
    REAL(truncate);
    char buffer[PATH_MAX];
    if (name_at(AT_FDCWD, path, buffer)) { lock(); record('X', 0, 0, 0, "truncate", path, "", 0); unlock(); }
    return real(path, size);
}
