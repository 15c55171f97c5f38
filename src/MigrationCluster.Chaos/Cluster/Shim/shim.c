/*
 * Preloaded into the processes of a host (LD_PRELOAD), so that its disk and its clock can be made to fail: what is asked for is a file in
 * the folder that MC_SHIM names, and is looked for again and again.
 *
 *   fsync   fsync and fdatasync of regular files fail with EIO
 *   torn    the next write to a write-ahead log stops in the middle, and the process with it. The file is gone then: whoever takes it away
 *           first, that write or who asked for it, knows whether it happens
 *   clock   holds a number of seconds by which CLOCK_REALTIME is off
 *   forget  holds a text: a fence file that is to be replaced by one with this text is not, and nobody is told (a planted bug: a vote
 *           that is kept only in memory)
 *
 * What a program looks up in libc by itself, as .NET does for a P/Invoke of its own, does not come by here.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite64)(int, const void *, size_t, off64_t);
static int (*real_rename)(const char *, const char *);
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static char asked_fsync[256], asked_torn[256], asked_clock[256], asked_forget[256];

__attribute__((constructor)) static void find(void)
{
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite64 = dlsym(RTLD_NEXT, "pwrite64");
    real_rename = dlsym(RTLD_NEXT, "rename");
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    const char *folder = getenv("MC_SHIM");
    if (!folder) return;
    snprintf(asked_fsync, sizeof asked_fsync, "%s/fsync", folder);
    snprintf(asked_torn, sizeof asked_torn, "%s/torn", folder);
    snprintf(asked_clock, sizeof asked_clock, "%s/clock", folder);
    snprintf(asked_forget, sizeof asked_forget, "%s/forget", folder);
}

static int asked(const char *file)
{
    int before = errno, there = file[0] && access(file, F_OK) == 0;
    errno = before;
    return there;
}

static int is_regular(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

static int is_log(int fd)
{
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path);
    return length > 4 && memcmp(path + length - 4, "-wal", 4) == 0;
}

int fsync(int fd)
{
    if (!asked(asked_fsync) || !is_regular(fd)) return real_fsync(fd);
    errno = EIO;
    return -1;
}

int fdatasync(int fd)
{
    if (!asked(asked_fsync) || !is_regular(fd)) return real_fdatasync(fd);
    errno = EIO;
    return -1;
}

static int takes_torn(int fd)
{
    return asked(asked_torn) && is_log(fd) && unlink(asked_torn) == 0;
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    if (!real_write) real_write = dlsym(RTLD_NEXT, "write");
    if (count < 2 || !takes_torn(fd)) return real_write(fd, bytes, count);
    real_write(fd, bytes, count / 2);
    kill(getpid(), SIGKILL);
    return -1;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset)
{
    if (count < 2 || !takes_torn(fd)) return real_pwrite64(fd, bytes, count, offset);
    real_pwrite64(fd, bytes, count / 2, offset);
    kill(getpid(), SIGKILL);
    return -1;
}

static int read_text(const char *file, char *text, size_t size)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t length = read(fd, text, size - 1);
    close(fd);
    text[length > 0 ? length : 0] = 0;
    return length > 0;
}

int rename(const char *from, const char *to)
{
    char forget[256], record[4096];
    const char *name = strrchr(to, '/');
    if (!asked(asked_forget) || !name || strcmp(name, "/fence") != 0 || !read_text(asked_forget, forget, sizeof forget)
        || !read_text(from, record, sizeof record) || !strstr(record, forget)) return real_rename(from, to);
    return unlink(from);
}

/* Read ten times a second at most: time is asked for far more often. Racing threads read the same file. */
static long seconds_off(void)
{
    static volatile long off, due;
    struct timespec now;
    if (!asked_clock[0] || real_clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 0;
    long tenth = now.tv_sec * 10 + now.tv_nsec / 100000000;
    if (tenth == due) return off;
    due = tenth;
    int before = errno;
    char text[32];
    off = read_text(asked_clock, text, sizeof text) ? atol(text) : 0;
    errno = before;
    return off;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    if (!real_clock_gettime) real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real_clock_gettime(clock, time);
    if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += seconds_off();
    return status;
}
