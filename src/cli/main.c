/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * sallyport(8). All the rest is in libcli.a, so that tests can link it.
 */
#include "cli.h"

int main(int argc, char **argv) {
	return cli_main(argc, (const char *const *)argv, stdout, stderr);
}
