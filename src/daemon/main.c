/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * sallyportd: options, then the daemon.
 */
#include <stdlib.h>

#include "sallyport/daemon/daemon.h"

enum { EXIT_USAGE = 2 };

int main(int argc, char **argv) {
	struct options options;

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
