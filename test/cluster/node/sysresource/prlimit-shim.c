/*
 * Test cluster only. Preloaded into CRIU where root lacks CAP_SYS_RESOURCE: the kernel then refuses prlimit(2) on a
 * process of another user, even for reading, and CRIU cannot dump it ("Can't get rlimit"). /proc/PID/limits tells
 * the same to anybody, so a refused read is answered from there. A refused write stays refused.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>

/* Labels of fs/proc/base.c, in the order of the resource numbers of asm-generic/resource.h. */
static const char *const labels[] = {
	"Max cpu time",      "Max file size",      "Max data size",        "Max stack size",
	"Max core file size", "Max resident set",  "Max processes",        "Max open files",
	"Max locked memory", "Max address space",  "Max file locks",       "Max pending signals",
	"Max msgqueue size", "Max nice priority",  "Max realtime priority", "Max realtime timeout",
};

static rlim64_t value(const char *word)
{
	return strcmp(word, "unlimited") == 0 ? RLIM64_INFINITY : strtoull(word, NULL, 10);
}

static int read_limits_file(pid_t pid, unsigned int resource, struct rlimit64 *limit)
{
	char path[64], line[256], soft[32], hard[32];
	int found = 0;
	FILE *file;

	if (resource >= sizeof(labels) / sizeof(labels[0]))
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (!found && fgets(line, sizeof(line), file)) {
		size_t length = strlen(labels[resource]);

		if (strncmp(line, labels[resource], length) != 0 || line[length] != ' ')
			continue;
		if (sscanf(line + length, " %31s %31s", soft, hard) == 2) {
			limit->rlim_cur = value(soft);
			limit->rlim_max = value(hard);
			found = 1;
		}
	}
	fclose(file);
	return found ? 0 : -1;
}

typedef int (*prlimit64_fn)(pid_t, unsigned int, const struct rlimit64 *, struct rlimit64 *);
typedef long (*syscall_fn)(long, ...);

static prlimit64_fn next_prlimit64;
static syscall_fn next_syscall;

/* Looked up once at load: CRIU calls from children that share its memory. */
__attribute__((constructor)) static void find_next(void)
{
	next_prlimit64 = (prlimit64_fn)dlsym(RTLD_NEXT, "prlimit64");
	next_syscall = (syscall_fn)dlsym(RTLD_NEXT, "syscall");
}

static int prlimit_or_file(pid_t pid, unsigned int resource, const struct rlimit64 *new_limit,
			   struct rlimit64 *old_limit)
{
	int result = next_prlimit64(pid, resource, new_limit, old_limit);

	if (result == -1 && errno == EPERM && !new_limit && old_limit &&
	    read_limits_file(pid, resource, old_limit) == 0)
		return 0;
	return result;
}

int prlimit64(pid_t pid, enum __rlimit_resource resource, const struct rlimit64 *new_limit,
	      struct rlimit64 *old_limit)
{
	return prlimit_or_file(pid, resource, new_limit, old_limit);
}

/* CRIU dumps the limits by syscall(SYS_prlimit64, ...). No system call takes more than six arguments. */
long syscall(long number, ...)
{
	long a[6];
	va_list list;
	int i;

	va_start(list, number);
	for (i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_prlimit64)
		return prlimit_or_file((pid_t)a[0], (unsigned int)a[1], (const struct rlimit64 *)a[2],
				       (struct rlimit64 *)a[3]);
	return next_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
