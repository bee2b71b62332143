/* Stands between a program of one file and libc, by the linker's --wrap: notes in which order it makes things
 * durable, and lets one call fail. The library's own calls do not come by here.
 *
 *   WATCH_LOG=FILE   notes fsync and rename
 *   WATCH_FAIL=CALL  `realloc` beyond 4096 bytes, or `fclose` of a file that was written, fails */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int __real_fsync(int file);
int __real_rename(const char *from, const char *to);
int __real_fclose(FILE *file);
void *__real_realloc(void *bytes, size_t len);

static void note(const char *format, ...) {
    const char *path = getenv("WATCH_LOG");
    FILE *log = path ? fopen(path, "a") : NULL;
    if (!log) return;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(log, format, arguments);
    va_end(arguments);
    __real_fclose(log);
}

static int fails(const char *call) {
    const char *wanted = getenv("WATCH_FAIL");
    return wanted && !strcmp(wanted, call);
}

int __wrap_fsync(int file) {
    char name[64], path[4096] = {0};
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    if (readlink(name, path, sizeof path - 1) > 0) note("fsync %s\n", path);
    return __real_fsync(file);
}

int __wrap_rename(const char *from, const char *to) {
    note("rename %s %s\n", from, to);
    return __real_rename(from, to);
}

int __wrap_fclose(FILE *file) {
    int written = (fcntl(fileno(file), F_GETFL) & O_ACCMODE) != O_RDONLY;
    int result = __real_fclose(file);
    if (!written || !fails("fclose")) return result;
    errno = ENOSPC;
    return EOF;
}

void *__wrap_realloc(void *bytes, size_t len) {
    if (len <= 4096 || !fails("realloc")) return __real_realloc(bytes, len);
    errno = ENOMEM;
    return NULL;
}
