/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * sallyportd: options, then the daemon.
 */
#include <malloc.h>
#include <stdlib.h>

#include "sallyport/daemon/daemon.h"

enum {
	EXIT_USAGE = 2,
	LARGE = 128 * 1024, /* bytes: what glibc begins with, and raises unless it is set (mallopt(3)) */
};

int main(int argc, char **argv) {
	struct options options;

	/* What a reload needs for a moment goes back to the system, and leaves no holes in the heap. */
	mallopt(M_MMAP_THRESHOLD, LARGE);
	switch (options_parse(argc, argv, &options)) {
	case OPTIONS_DONE:
		return EXIT_SUCCESS;
	case OPTIONS_WRONG:
		return EXIT_USAGE;
	default:
		return options.check    ? daemon_check(&options)
		       : options.remove ? daemon_remove(&options)
					: daemon_run(&options);
	}
}
