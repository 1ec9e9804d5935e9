/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the daemon says: structured entries in the journal where stderr leads there,
 * plain lines on stderr otherwise. Main thread only; the packet path logs through
 * packet_log.h.
 */
#ifndef SALLYPORT_DAEMON_LOG_H
#define SALLYPORT_DAEMON_LOG_H

#include <stdbool.h>

/* Each has a MESSAGE_ID of its own, so that `journalctl MESSAGE_ID=...` finds all of a kind. */
enum log_kind {
	LOG_STARTING,
	LOG_READY,
	LOG_RELOADED,
	LOG_RELOAD_REFUSED,
	LOG_STOPPED,
	LOG_PACKET,     /* a rule that says `log` */
	LOG_SUPPRESSED, /* lines left out */
	LOG_GUARD,      /* the kernel decided without us */
	LOG_REINSTALLED,
	LOG_KILLED, /* connections removed on request */
	LOG_PROBLEM,
	LOG_FAILED,
	LOG_KINDS
};

struct log {
	bool journal;
};

/* The journal where $JOURNAL_STREAM names what stderr is (sd_journal_stream_fd(3)),
 * unless `force_stderr`. */
struct log log_open(bool force_stderr);

/* `fields`: "NAME=value" strings, NULL at the end, or NULL for none; stderr shows the
 * text alone. Never waits: lines that stderr has no room for are lost. */
void log_write(const struct log *log, enum log_kind kind, const char *const *fields, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
