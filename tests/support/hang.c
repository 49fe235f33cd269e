// Loaded before the C library: opening a file FILE waits for as long as there is a file FILE.hangs, as a network mount that
// does not answer.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

static void wait_for(const char *path) {
    char sign[4096];
    snprintf(sign, sizeof sign, "%s.hangs", path);
    while (access(sign, F_OK) == 0) usleep(10000);
}

#define OPEN(NAME)                                                                   \
    int NAME(const char *path, int flags, ...) {                                     \
        int (*real)(const char *, int, mode_t) = dlsym(RTLD_NEXT, #NAME);            \
        va_list rest;                                                                \
        va_start(rest, flags);                                                       \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;    \
        va_end(rest);                                                                \
        wait_for(path);                                                              \
        return real(path, flags, mode);                                              \
    }

OPEN(open)
OPEN(open64)
