/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Capabilities by libcap-ng, paths by Landlock, then the system calls: each step forbids what the one
 * before it took.
 */
#include "sallyport/daemon/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sallyport/daemon/syscalls.h"

/* ---- capabilities ---- */

/* Netfilter, netlink buffers beyond the system's limit. Nothing else here needs a capability. */
enum { THE_CAPABILITY = CAP_NET_ADMIN };

static bool has_no_other(void) {
	for (int capability = 0; capability <= CAP_LAST_CAP; capability++) {
		bool wanted = capability == THE_CAPABILITY;

		if (capng_have_capability(CAPNG_PERMITTED, (unsigned)capability) != wanted ||
		    (!wanted && capng_have_capability(CAPNG_BOUNDING_SET, (unsigned)capability)))
			return false;
	}
	return true;
}

/* As systemd starts it there is nothing to drop, and its filter knows no capset. */
static bool drop_capabilities(struct error *err) {
	bool bounded;

	if (capng_get_caps_process() != 0)
		return error_set(err, "cannot read this process's capabilities");
	if (has_no_other())
		return true;
	bounded = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	capng_clear(CAPNG_SELECT_ALL);
	capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, THE_CAPABILITY);
	if (capng_apply(bounded ? CAPNG_SELECT_ALL : CAPNG_SELECT_CAPS) != 0)
		return error_set(err, "cannot drop capabilities: %s", strerror(errno));
	return true;
}

/* ---- paths ---- */

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

/* All that changes something, or runs it. Reading is left to the files' modes: rules include others
 * from wherever their author likes. */
static uint64_t changes(int version) {
	uint64_t access =
	    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
	    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
	    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
	    LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;

	if (version >= 2)
		access |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= 3)
		access |= LANDLOCK_ACCESS_FS_TRUNCATE;
	return access;
}

static bool allow_beneath(int ruleset, const char *directory, uint64_t access, struct error *err) {
	struct landlock_path_beneath_attr rule = {.allowed_access = access};
	bool done;

	rule.parent_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rule.parent_fd < 0) /* what is not there now is not written to later */
		return errno == ENOENT || error_set(err, "%s: %s", directory, strerror(errno));
	done = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0 ||
	       error_set(err, "cannot confine %s: %s", directory, strerror(errno));
	close(rule.parent_fd);
	return done;
}

static bool allow_state(int ruleset, int version, const char *directory, struct error *err) {
	uint64_t access =
	    LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE;

	if (!directory)
		return true;
	return allow_beneath(ruleset, directory, access | (changes(version) & LANDLOCK_ACCESS_FS_TRUNCATE),
			     err);
}

static bool allow_socket(int ruleset, const char *path, struct error *err) {
	char *copy = strdup(path);
	bool done = copy ? allow_beneath(ruleset, dirname(copy), LANDLOCK_ACCESS_FS_REMOVE_FILE, err)
			 : error_set(err, "out of memory");

	free(copy);
	return done;
}

static bool confine(int ruleset, int version, const struct sandbox *sandbox, struct error *err) {
	if (!allow_state(ruleset, version, sandbox->state_directory, err) ||
	    !allow_socket(ruleset, sandbox->socket_path, err))
		return false;
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return error_set(err, "cannot confine the daemon's paths: %s", strerror(errno));
	return true;
}

static bool confine_paths(struct sandbox *sandbox, struct error *err) {
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct landlock_ruleset_attr handled = {.handled_access_fs = changes((int)version)};
	int ruleset;

	if (version < 1) /* not built in, or switched off */
		return true;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);
	if (ruleset < 0)
		return error_set(err, "cannot confine the daemon's paths: %s", strerror(errno));
	sandbox->paths_are_confined = confine(ruleset, (int)version, sandbox, err);
	close(ruleset);
	return sandbox->paths_are_confined;
}

/* ---- together ---- */

static bool renounce_privileges(struct error *err) {
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		return true;
	return error_set(err, "cannot renounce new privileges: %s", strerror(errno));
}

bool sandbox_enter(struct sandbox *sandbox, struct error *err) {
	return drop_capabilities(err) && renounce_privileges(err) && confine_paths(sandbox, err) &&
	       syscalls_restrict(&sandbox->calls_are_filtered, err);
}
