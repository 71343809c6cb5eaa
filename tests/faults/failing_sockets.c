/* Loaded before the C library: of one socket operation some calls fail, as the environment says: XPU_FAIL holds the
   operation's name, an errno, the number of the first call that fails, from 1, and how many fail. How many calls have
   failed is the length of the file that XPU_FAILED names. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char name[32];
static int error, first, times, calls;

__attribute__((constructor)) static void read_environment(void)
{
    const char *text = getenv("XPU_FAIL");
    if (!text || sscanf(text, "%31s %d %d %d", name, &error, &first, &times) != 4) *name = 0;
}

/* Whether this call fails; errno is set then. */
static int fails(const char *operation)
{
    if (strcmp(operation, name)) return 0;
    pthread_mutex_lock(&lock);
    int number = ++calls;
    pthread_mutex_unlock(&lock);
    if (number < first || number >= first + times) return 0;
    int file = open(getenv("XPU_FAILED"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file >= 0) {
        if (write(file, "x", 1) < 0) perror("XPU_FAILED");
        close(file);
    }
    errno = error;
    return 1;
}

#define FAIL(result, operation, parameters, arguments)                                                                 \
    result operation parameters                                                                                        \
    {                                                                                                                  \
        static result(*real) parameters;                                                                               \
        if (!real) real = (result(*) parameters)dlsym(RTLD_NEXT, #operation);                                           \
        return fails(#operation) ? -1 : real arguments;                                                                \
    }

FAIL(int, socket, (int domain, int type, int protocol), (domain, type, protocol))
FAIL(int, bind, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
FAIL(int, listen, (int fd, int backlog), (fd, backlog))
FAIL(int, connect, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
FAIL(int, accept4, (int fd, struct sockaddr *address, socklen_t *size, int flags), (fd, address, size, flags))
FAIL(int, setsockopt, (int fd, int level, int option, const void *value, socklen_t size), (fd, level, option, value, size))
FAIL(int, getsockname, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size))
FAIL(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
FAIL(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
