/*
 * For LD_PRELOAD with pjdfstest. It does two things:
 *
 * pjdfstest works in two temporary directories, one in the other, where eventfs has one level. When
 * the outer one has been made in $OVER_DIR, the filesystem at $OVER_FROM is bound over it, so that the
 * inner ones, one for each case, are queues. This needs a private mount namespace, which ends the
 * binding with the process.
 *
 * eventfs refuses some calls on purpose, always with EPERM. Each such refusal is a line "refused CALL"
 * on standard output, which comes before the line with the result of its case: so a failed case that
 * was refused nothing stands out.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The C library's own function of that name. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Passes a result on; tells of the refusal that it may be. */
static int told(int result, const char *call)
{
    int error = errno;
    char line[64];
    int length;

    if (result != 0 && error == EPERM) {
        length = snprintf(line, sizeof line, "refused %s\n", call);
        if (write(STDOUT_FILENO, line, (size_t)length) != length)
            _exit(99);
    }
    errno = error;
    return result;
}

/* Binds the filesystem over the first directory that is made directly in $OVER_DIR. */
static void bind_over(const char *path)
{
    static int bound;
    const char *dir = getenv("OVER_DIR"), *from = getenv("OVER_FROM");
    size_t length = dir == NULL ? 0 : strlen(dir);

    if (bound || dir == NULL || from == NULL || strncmp(path, dir, length) != 0)
        return;
    if (path[length] != '/' || strchr(path + length + 1, '/') != NULL)
        return;
    bound = 1;
    if (mount(from, path, NULL, MS_BIND, NULL) != 0) {
        perror("over: mount");
        _exit(99);
    }
}

int mkdir(const char *path, mode_t mode)
{
    int result = told(REAL(mkdir)(path, mode), "mkdir");

    if (result == 0)
        bind_over(path);
    return result;
}

int mkfifo(const char *path, mode_t mode)
{
    return told(REAL(mkfifo)(path, mode), "mkfifo");
}

int mknod(const char *path, mode_t mode, dev_t device)
{
    return told(REAL(mknod)(path, mode, device), S_ISREG(mode) ? "mknod of a file" : "mknod");
}

int symlink(const char *target, const char *path)
{
    return told(REAL(symlink)(target, path), "symlink");
}

int symlinkat(const char *target, int dir, const char *path)
{
    return told(REAL(symlinkat)(target, dir, path), "symlink");
}

int bind(int socket, const struct sockaddr *address, socklen_t length)
{
    return told(REAL(bind)(socket, address, length), "bind");
}
