/* Loaded before the C library: calls on one path fail with a chosen errno or hang, and all paths below a directory are
   noted.

   The path is compared as the program gives it; reading a file that is already open fails by its descriptor. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HANG -1

enum { AT_NONE, AT_OPEN, AT_READ };

static char failing[4096], watched[4096];
static volatile int with, hanging;
static int stage, failing_descriptor = -1;
static FILE *notes;

/* Calls on `path` fail with `error`, or hang, from now on: when it is opened, listed or looked at, or only when it is
   read. What hangs goes on, without an error, at the next call of this. */
void xpu_fail(const char *path, int error, int read_only)
{
    snprintf(failing, sizeof failing, "%s", path);
    with = error;
    stage = *path ? (read_only ? AT_READ : AT_OPEN) : AT_NONE;
    failing_descriptor = -1;
}

/* Whether a call hangs now. */
int xpu_hangs(void) { return hanging; }

static int fail(void)
{
    if (with == HANG) {
        hanging = 1;
        while (with == HANG) usleep(100);
        hanging = 0;
        return 0;
    }
    errno = with;
    return 1;
}

/* Note the paths below `directory` in a file; an empty directory ends it. */
void xpu_note(const char *directory, const char *file)
{
    snprintf(watched, sizeof watched, "%s", directory);
    if (notes) fclose(notes);
    notes = *directory ? fopen(file, "we") : NULL;
}

static int fails(const char *path, int when)
{
    if (notes && path && !strncmp(path, watched, strlen(watched))) fprintf(notes, "%s\n", path);
    if (stage != when || !path || strcmp(path, failing)) return 0;
    return fail();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int opened(int descriptor, const char *path)
{
    if (stage == AT_READ && descriptor >= 0 && !strcmp(path, failing)) failing_descriptor = descriptor;
    else if (descriptor >= 0 && descriptor == failing_descriptor) failing_descriptor = -1;
    return descriptor;
}

#define OPEN(name)                                                                                  \
    int name(const char *path, int flags, ...)                                                      \
    {                                                                                               \
        va_list rest;                                                                               \
        va_start(rest, flags);                                                                      \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;                   \
        va_end(rest);                                                                               \
        return fails(path, AT_OPEN) ? -1 : opened(REAL(name)(path, flags, mode), path);             \
    }
OPEN(open)
OPEN(open64)

#define LOOK(name, type)                                                                            \
    int name(const char *path, struct type *status)                                                 \
    {                                                                                               \
        return fails(path, AT_OPEN) ? -1 : REAL(name)(path, status);                                \
    }
LOOK(stat, stat)
LOOK(stat64, stat64)
LOOK(lstat, stat)
LOOK(lstat64, stat64)

ssize_t read(int descriptor, void *buffer, size_t size)
{
    if (descriptor == failing_descriptor && descriptor >= 0 && fail()) return -1;
    return REAL(read)(descriptor, buffer, size);
}

ssize_t readlink(const char *path, char *buffer, size_t size)
{
    return fails(path, AT_OPEN) ? -1 : REAL(readlink)(path, buffer, size);
}

DIR *opendir(const char *path)
{
    return fails(path, AT_OPEN) ? NULL : REAL(opendir)(path);
}
