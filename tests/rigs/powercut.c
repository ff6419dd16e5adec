/* A power cut for one process: LD_PRELOADed, it keeps, beside the files below $POWERCUT_ROOT, what was fsynced of them
   below $POWERCUT_SHADOW. After kill -9 the shadow is what a disk would hold: every byte that was never synced is gone. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A synced folder forgets the names that were removed. Until then they come back: SQLite's rollback journal, say. */
static int forget(const char *root, const char *shadow) {
    char kept[PATH_MAX], real[PATH_MAX];
    DIR *folder = opendir(shadow);
    if (!folder) return -1;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (snprintf(kept, sizeof kept, "%s/%s", shadow, entry->d_name) >= (int)sizeof kept) continue;
        if (snprintf(real, sizeof real, "%s/%s", root, entry->d_name) >= (int)sizeof real) continue;
        if (entry->d_name[0] != '.' && access(real, F_OK)) unlink(kept);
    }
    return closedir(folder);
}

static int keep(int fd) {
    const char *root = getenv("POWERCUT_ROOT"), *shadow = getenv("POWERCUT_SHADOW");
    char link[64], path[PATH_MAX], partial[PATH_MAX + 8], target[PATH_MAX], buffer[65536];
    struct stat about;
    if (!root || !shadow || fstat(fd, &about)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (S_ISDIR(about.st_mode)) return strcmp(path, root) ? 0 : forget(root, shadow);
    if (!S_ISREG(about.st_mode)) return 0;
    if (strncmp(path, root, strlen(root))) return 0;
    if (snprintf(target, sizeof target, "%s/%s", shadow, strrchr(path, '/') + 1) >= (int)sizeof target) return -1;
    snprintf(partial, sizeof partial, "%s.part", target);
    int in = open(path, O_RDONLY | O_CLOEXEC), out = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (in < 0 || out < 0) return -1;
    for (ssize_t got; (got = read(in, buffer, sizeof buffer)) > 0;)
        if (write(out, buffer, (size_t)got) != got) return -1;
    close(in);
    close(out);
    return rename(partial, target);
}

static int after(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int result = real(fd);
    if (!result && keep(fd)) abort();
    return result;
}

int fsync(int fd) { return after("fsync", fd); }
int fdatasync(int fd) { return after("fdatasync", fd); }
