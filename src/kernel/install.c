/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Puts a compiled ruleset into the kernel, and notices when somebody takes it out.
 */
#include "sallyport/kernel/install.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>

#include "compile.h"
#include "counters.h"
#include "leases.h"
#include "probe.h"
#include "sets.h"
#include "standing.h"
#include "watch.h"

struct install {
	struct mnl_socket *socket; /* transactions and dumps */
	struct watch *watch;
	struct compile_options options;
	struct marks marks; /* of the ruleset that stands */
	bool can_destroy;   /* see probe.h */
	bool standing;      /* `inventory` is what stands in the kernel */
	struct inventory inventory;
	struct tally defaults[2]; /* counted by elements that reloads have replaced */
};

const char *dispatch_name(enum dispatch dispatch) {
	return dispatch == DISPATCH_NATIVE ? "native" : "xtables";
}

static bool send_and_free(struct install *install, struct batch *batch, int *code, struct error *err) {
	bool done;

	batch_end(batch);
	done = batch_send(batch, install->socket, code, err);
	batch_free(batch);
	return done;
}

/* ---- open, close ---- */

static void take_over(struct install *install) {
	install->can_destroy = probe_destroy(install->socket);
	install->standing = standing_read(install->socket, install->options.dispatch, &install->inventory);
}

struct install *install_open(uint16_t queue_first, uint16_t queue_last, uint16_t copies_group,
			     struct error *err) {
	struct install *install = calloc(1, sizeof(*install));

	if (!install) {
		error_set(err, "out of memory");
		return NULL;
	}
	install->options.queue_first = queue_first;
	install->options.queue_last = queue_last;
	install->options.copies_group = copies_group;
	install->options.forwards = true;
	install->socket = nft_socket_open(err);
	if (install->socket && probe_dispatch(install->socket, &install->options, err))
		install->watch = watch_open(install->socket, err);
	if (install->watch) {
		take_over(install);
		return install;
	}
	install_close(install);
	return NULL;
}

void install_close(struct install *install) {
	if (!install)
		return;
	if (install->socket)
		mnl_socket_close(install->socket);
	watch_close(install->watch);
	inventory_free(&install->inventory);
	free(install);
}

enum dispatch install_dispatch(const struct install *install) {
	return install->options.dispatch;
}

void install_set_forwards(struct install *install, bool forwards) {
	install->options.forwards = forwards;
}

bool install_forwards(const struct install *install) {
	return install->options.forwards;
}

/* ---- install, remove ---- */

static int take_note(const struct nlmsghdr *message, void *context) {
	(void)message;
	*(bool *)context = true;
	return MNL_CB_OK;
}

/* Whether `inet sallyport` stands in the kernel. */
static bool table_stands(struct install *install) {
	char buffer[1024];
	struct error unread;
	bool found = false;
	struct nlmsghdr *request =
	    nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETTABLE, NFPROTO_INET, NLM_F_ACK, 1);

	mnl_attr_put_strz(request, NFTA_TABLE_NAME, TABLE_NAME);
	return nft_dump(install->socket, request, take_note, &found, &unread) && found;
}

/* What was cut stays known for an hour. Where there is no room left for more, a transaction fails as a whole:
 * rather than the leases, what was cut earlier is let go, or it all. */
enum cuts { CUTS_ADDED, CUTS_ALONE, CUTS_LEFT_OUT };

/* Behind the ruleset that `inventory` is of. Returns whether any stands in `cut` by it: segments are then
 * looked up there. */
static bool put_revoked(struct batch *batch, const struct install *install, const struct revocation *revoked,
			const struct inventory *inventory, enum cuts cuts) {
	struct compile_options heedful = install->options;
	bool cut;

	put_revocation(batch, revoked, install->can_destroy);
	if (cuts == CUTS_ALONE)
		put_cuts_flush(batch);
	cut = cuts != CUTS_LEFT_OUT && put_cuts(batch, revoked, inventory->open_owners, install->can_destroy);
	heedful.heeds_cuts = true;
	if (cut && inventory->passes_unseen && !install->options.heeds_cuts)
		compile_segments(batch, &heedful);
	return cut;
}

static void note_cut(const struct nlattr *element, void *context) {
	(void)element;
	*(bool *)context = true;
}

/* Of earlier cuts, those that have not run out yet. */
static bool any_cut_stands(struct install *install) {
	struct error unread;
	bool found = false;

	if (!install->standing)
		return false;
	return !read_elements(install->socket, CUT_PORTS, note_cut, &found, &unread) || found;
}

/* Either way SYNs are judged right; if it fails, the daemon is asked about more of them, or about fewer. */
static void pause_judging(struct install *install, bool pause) {
	struct batch batch;
	struct error unsaid;
	int code;

	batch_begin(&batch);
	compile_pause(&batch, pause);
	send_and_free(install, &batch, &code, &unsaid);
}

static bool change_table(struct install *install, const struct ruleset *ruleset,
			 const struct revocation *revoked, enum cuts cuts, struct inventory *made, int *code,
			 struct error *err) {
	struct batch batch;
	bool cut, done;

	batch_begin(&batch);
	compile_ruleset(&batch, ruleset, &install->options, install->standing ? &install->inventory : NULL,
			made);
	cut = revoked && put_revoked(&batch, install, revoked, made, cuts);
	if (install->standing && install->inventory.judges)
		pause_judging(install, true);
	batch_end(&batch);
	done = watch_send(install->watch, &batch, !install->standing, code, err);
	batch_free(&batch);
	if (!done) {
		inventory_free(made);
		return false;
	}
	install->options.heeds_cuts = install->options.heeds_cuts || cut;
	return true;
}

bool install_ruleset(struct install *install, const struct ruleset *ruleset, const struct revocation *revoked,
		     struct error *err) {
	struct inventory made = {0};
	struct error uncounted;
	int code = ENFILE;
	bool done = false, heeded = install->options.heeds_cuts;

	if (install->standing)
		counters_read(install->socket, &install->inventory, install->defaults, NULL, 0, &uncounted);
	install->options.heeds_cuts = any_cut_stands(install);
	for (enum cuts cuts = CUTS_ADDED; cuts <= CUTS_LEFT_OUT && !done && code == ENFILE; cuts++)
		done = change_table(install, ruleset, revoked, cuts, &made, &code, err);
	if (done && !table_stands(install)) {
		inventory_free(&made);
		install->standing = false;
		watch_doubt(install->watch);
		done = error_set(err, "nftables took the ruleset, but table inet " TABLE_NAME
				      " is not there; is another program removing it?");
	}
	if (!done) {
		install->options.heeds_cuts = heeded;
		if (install->standing && install->inventory.judges)
			pause_judging(install, false);
		return false;
	}
	inventory_free(&install->inventory);
	install->inventory = made;
	if (made.judges)
		pause_judging(install, false);
	install->marks = marks_of(ruleset->settings.mark_mask);
	install->standing = true;
	return true;
}

bool install_closes(const struct install *install) {
	return install->standing && install->inventory.closed;
}

bool install_forget_closed(struct install *install, struct error *err) {
	struct batch batch;
	int code;

	batch_begin(&batch);
	put_busy_removal(&batch, install->inventory.closed, install->can_destroy);
	return send_and_free(install, &batch, &code, err);
}

bool install_detach(struct install *install, struct error *err) {
	struct batch batch;
	int code;

	if (!install->standing)
		return true;
	batch_begin(&batch);
	compile_detachment(&batch, &install->marks);
	return send_and_free(install, &batch, &code, err);
}

bool install_remove(struct install *install, struct error *err) {
	struct batch batch;
	int code;
	bool done;

	batch_begin(&batch);
	compile_removal(&batch);
	done = send_and_free(install, &batch, &code, err);
	if (done)
		install->standing = false;
	return done;
}

bool install_look_unseen_first(struct install *install, bool first, struct error *err) {
	bool before = install->options.unseen_first;
	struct batch batch;
	int code;
	bool done;

	install->options.unseen_first = first;
	if (first == before || !install->standing || !install->inventory.passes_unseen)
		return true;
	batch_begin(&batch);
	compile_segments(&batch, &install->options);
	done = send_and_free(install, &batch, &code, err);
	if (!done)
		install->options.unseen_first = before;
	return done;
}

bool install_revoke(struct install *install, const struct revocation *revoked, struct error *err) {
	int code = ENFILE;
	bool done = false, cut = false;

	if (revoked->count == 0 || !install->standing)
		return true;
	for (enum cuts cuts = CUTS_ADDED; cuts <= CUTS_LEFT_OUT && !done && code == ENFILE; cuts++) {
		struct batch batch;

		batch_begin(&batch);
		cut = put_revoked(&batch, install, revoked, &install->inventory, cuts);
		done = send_and_free(install, &batch, &code, err);
	}
	install->options.heeds_cuts = install->options.heeds_cuts || (done && cut);
	return done;
}

bool install_leases(struct install *install, void (*see)(const struct lease *lease, void *context),
		    void *context, struct error *err) {
	return !install->standing || leases_read(install->socket, see, context, err);
}

int install_counters(struct install *install, struct kernel_counter *counters, size_t max,
		     struct error *err) {
	struct tally defaults[2] = {install->defaults[0], install->defaults[1]};

	return counters_read(install->socket, &install->inventory, defaults, counters, max, err);
}

/* ---- watching ---- */

bool install_is_lost(const struct install *install) {
	return !nft_socket_stands(install->socket) || !watch_stands(install->watch);
}

int install_watch_fd(const struct install *install) {
	return watch_fd(install->watch);
}

bool install_was_removed(struct install *install) {
	if (!watch_saw_change(install->watch))
		return false;
	/* What is left of the table is unknown now: the next install starts from nothing. */
	install->standing = false;
	return true;
}
