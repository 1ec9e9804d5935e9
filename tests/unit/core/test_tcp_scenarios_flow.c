/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * TCP scenarios of open connections: resets and SYNs, real and forged, blind data, windows, numbers that
 * wrap.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "scenario.h"

/* Linux selftests: nf_conntrack_packetdrill.sh (conntrack_*.pkt). OpenBSD regress: pf_state. */
static const struct scenario scenarios[] = {
    /* RFC 5961 3, RFC 9293 3.10.7.4 */
    {"RST exact: the peer's closes", STRICT,
     OPENED "< R 1 -> pass CLOSED\n"
	    "wait 14 -> CLOSED\n"
	    "wait 1 -> -\n"},
    {"RST exact: the host's closes", STRICT, OPENED "> R 1 -> pass CLOSED\n"},
    {"RST exact: with ACK, behind data", STRICT,
     OPENED "< P. 1:101 ack 1 -> pass ESTABLISHED\n"
	    "< R. 101 ack 1 -> pass CLOSED\n"},
    {"RST exact: what was on its way still passes and keeps nothing open", STRICT,
     OPENED "< R 1 -> pass CLOSED\n"
	    "> P. 1:101 ack 1 -> pass CLOSED\n"
	    "> P. 101:201 ack 1 -> pass CLOSED\n"
	    "wait 15 -> -\n"},
    {"RST in the window: a challenge ACK shows that it was a guess", STRICT,
     OPENED "< R 5000 -> pass CLOSED\n"
	    "> . 1 ack 1 -> pass ESTABLISHED\n"
	    "< P. 1:101 ack 1 -> pass ESTABLISHED\n"
	    "wait 7439 -> ESTABLISHED\n"},
    {"RST in the window: the challenged peer means it", STRICT,
     OPENED "< R 5000 -> pass CLOSED\n"
	    "> . 1 ack 1 -> pass ESTABLISHED\n"
	    "< R 1 -> pass CLOSED\n"
	    "wait 15 -> -\n"},
    {"RST in the window: the first and the last number that fit", STRICT,
     OPENED "< R -9999 -> pass CLOSED\n"
	    "> . 1 ack 1 -> pass ESTABLISHED\n"
	    "< R -10000 -> drop.window ESTABLISHED\n"
	    "< R 10001 -> pass CLOSED\n"
	    "> . 1 ack 1 -> pass ESTABLISHED\n"
	    "< R 10002 -> drop.window ESTABLISHED\n"},
    {"RST out of the window: dropped from either side", STRICT,
     OPENED "< R 90000 -> drop.window ESTABLISHED\n"
	    "< R 2147483649 -> drop.window ESTABLISHED\n"
	    "> R 90000 -> drop.window ESTABLISHED\n"
	    "> R. -90000 ack 1 -> drop.window ESTABLISHED\n"},
    {"RST out of the window: it does not shorten the connection's life", STRICT,
     OPENED "wait 7000 -> ESTABLISHED\n"
	    "< R 90000 -> drop.window ESTABLISHED\n"
	    "wait 439 -> ESTABLISHED\n"
	    "wait 1 -> -\n"},
    {"RST of too few hops: both sides speak on, and so it stays open", STRICT,
     OPENED "< R 1 -> pass CLOSED\n"
	    "< P. 1:101 ack 1 -> pass CLOSED\n"
	    "> . 1 ack 101 -> pass ESTABLISHED\n"
	    "< P. 101:201 ack 1 -> pass ESTABLISHED\n"},
    {"FIN of too few hops: both sides speak on, and so it stays", STRICT,
     OPENED "< F. 1 ack 1 -> pass FIN_WAIT\n"
	    "< P. 1:101 ack 1 -> pass FIN_WAIT\n"
	    "> P. 1:101 ack 101 -> pass FIN_WAIT\n"
	    "wait 239 -> FIN_WAIT\n"
	    "< P. 101:201 ack 101 -> pass FIN_WAIT\n"
	    "wait 239 -> FIN_WAIT\n"},
    {"RST invalid, four times (conntrack_rst_invalid.pkt)", STRICT,
     OPENED_HERE "< . 1:1001 ack 1 win 65535 -> pass ESTABLISHED\n"
		 "< . 1001:2001 ack 1 win 65535 -> pass\n"
		 "< . 2001:3001 ack 1 win 65535 -> pass\n"
		 "> . 1 ack 3001 -> pass ESTABLISHED\n"
		 "< R -7000 -> drop.window ESTABLISHED\n"
		 "< R 1000001 -> drop.window ESTABLISHED\n"
		 "< R 43 -> pass CLOSED\n"
		 "> P. 1:1001 ack 3001 -> pass ESTABLISHED\n"
		 "< . 3001 ack 1001 -> pass ESTABLISHED\n"
		 "< R. 3000 ack 1001 -> pass CLOSED\n"
		 "> . 1001 ack 3001 -> pass ESTABLISHED\n"
		 "< R. 3001 ack 1001 -> pass CLOSED\n"},
    {"RST inexact while closing (conntrack_inexact_rst.pkt)", STRICT,
     OPENED_HERE "< . 1:3001 ack 1 -> pass ESTABLISHED\n"
		 "> P. 1:1001 ack 3001 -> pass ESTABLISHED\n"
		 "< F. 3001 ack 1001 -> pass CLOSE_WAIT\n"
		 "> . 1001 ack 3002 -> pass CLOSE_WAIT\n"
		 "> R. 1001 ack 3002 -> pass CLOSED\n"
		 "< R 2001 -> pass CLOSED\n"},
    {"RST before a gap, then the port again (pf_state beforegap_rst)", STRICT,
     OPENED "< P. 17:25 ack 1 -> pass ESTABLISHED\n"
	    "> . 1 ack 1 -> pass ESTABLISHED\n"
	    "< P. 1:9 ack 1 -> pass ESTABLISHED\n"
	    "> . 1 ack 9 -> pass ESTABLISHED\n"
	    "< R. 9 ack 1 -> pass CLOSED\n"
	    "< S 16777216 -> pass CLOSED\n"
	    "> S. 70000000 ack 16777217 -> pass SYN_RECV\n"
	    "< . 16777217 ack 70000001 -> pass ESTABLISHED\n"},
    {"RST behind the sequence with ACK 0 (pf_state fakeack_rst)", STRICT,
     OPENED "< R. -5000 ack -5000000 -> pass CLOSED\n"
	    "< S -900000 -> pass CLOSED\n"
	    "> . 1 ack 1 -> pass ESTABLISHED\n"
	    "< P. 1:101 ack 1 -> pass ESTABLISHED\n"},

    /* RFC 5961 4 */
    {"SYN in ESTABLISHED: in the window, challenged, nothing happens", STRICT,
     OPENED "< S 5000 -> pass ESTABLISHED\n"
	    "> . 1 ack 1 -> pass ESTABLISHED\n"
	    "< P. 1:101 ack 1 -> pass ESTABLISHED\n"},
    {"SYN in ESTABLISHED: far from the window (pf_state challenge_ack)", STRICT,
     OPENED "< S 2000000000 -> pass ESTABLISHED\n"
	    "> . 1 ack 1 -> pass ESTABLISHED\n"
	    "< P. 1:101 ack 1 -> pass ESTABLISHED\n"},
    {"SYN in ESTABLISHED: a duplicate of the first", STRICT,
     OPENED "< S 0 -> pass ESTABLISHED\n"
	    "> . 1 ack 1 -> pass ESTABLISHED\n"},
    {"SYN in ESTABLISHED: the peer has crashed: challenge, RST, SYN (conntrack_synack_reuse.pkt)", STRICT,
     OPENED "< P. 1:101 ack 1 -> pass ESTABLISHED\n"
	    "> . 1 ack 101 -> pass ESTABLISHED\n"
	    "< S 2000 -> pass ESTABLISHED\n"
	    "> . 1 ack 101 -> pass ESTABLISHED\n"
	    "< R. 101 ack 1 -> pass CLOSED\n"
	    "< S 2000 -> pass.rule SYN_SENT\n"
	    "> S. 900000 ack 2001 -> pass SYN_RECV\n"},
    {"SYN met by an old connection's challenge ACK (conntrack_syn_challenge_ack.pkt)", STRICT,
     "> S 0 -> pass.rule SYN_SENT\n"
     "< . 145824453 ack 643160523 -> pass SYN_SENT\n"
     "> R 643160523 -> pass SYN_SENT\n"
     "> S 0 -> pass SYN_SENT\n"
     "< S. 0 ack 1 -> pass SYN_RECV\n"
     "> . 1 ack 1 -> pass ESTABLISHED\n"},
    {"SYN in ESTABLISHED: against the direction it was opened in no rule was asked", STRICT,
     OPENED "> S 5000 -> drop.state ESTABLISHED\n"
	    "> P. 1:101 ack 1 -> pass ESTABLISHED\n"},
    {"SYN in ESTABLISHED: on a lease it is asked about all the same", LEASES,
     OPENED_ON_LEASE "< S 5000 -> pass ESTABLISHED no-lease\n"
		     "< . 1 ack 1 -> pass ESTABLISHED lease\n"},
    {"SYN/ACK in ESTABLISHED: a repeated one passes, a forged one does not", STRICT,
     OPENED "> S. 0 ack 1 -> pass ESTABLISHED\n"
	    "< . 1 ack 1 -> pass ESTABLISHED\n"
	    "> S. 300000 ack 1 -> drop.window ESTABLISHED\n"
	    "< S. 300000 ack 1 -> drop.window ESTABLISHED\n"},

    /* RFC 5961 5, RFC 9293 3.10.7.4 */
    {"blind data: acknowledges what was never sent", STRICT,
     OPENED "< P. 1:11 ack 2 -> drop.window ESTABLISHED\n"
	    "< P. 1:11 ack 1000000000 -> drop.window ESTABLISHED\n"
	    "< P. 1:11 ack 1 -> pass ESTABLISHED\n"},
    {"blind data: acknowledges what is long forgotten", STRICT,
     OPENED "< P. 1:11 ack -131999 -> pass ESTABLISHED\n"
	    "< P. 1:11 ack -132000 -> drop.window ESTABLISHED\n"
	    "< P. 1:11 ack -2147483647 -> drop.window ESTABLISHED\n"},
    {"blind data: behind the window", STRICT,
     OPENED "< P. 10002:10012 ack 1 -> drop.window ESTABLISHED\n"
	    "< P. 2147483649:2147483659 ack 1 -> drop.window ESTABLISHED\n"},
    {"blind data: before the window by more than can be late", STRICT,
     OPENED "< P. -66010:-66000 ack 1 -> drop.window ESTABLISHED\n"
	    "< P. -66009:-65999 ack 1 -> pass ESTABLISHED\n"},
    {"blind data: what is dropped opens the window no further", STRICT,
     OPENED "< P. 10002:20002 ack 1 win 65535 -> drop.window ESTABLISHED\n"
	    "< P. 20002:30002 ack 1 win 65535 -> drop.window ESTABLISHED\n"
	    "> P. 10002:10003 ack 1 -> drop.window ESTABLISHED\n"
	    "> P. 1:10001 ack 1 -> pass ESTABLISHED\n"},
    {"blind data: what is dropped does not renew", STRICT,
     OPENED "wait 7439 -> ESTABLISHED\n"
	    "< P. 90000:90010 ack 1 -> drop.window ESTABLISHED\n"
	    "wait 1 -> -\n"},
    {"blind FIN: closes nothing", STRICT,
     OPENED "< F. 90000 ack 1 -> drop.window ESTABLISHED\n"
	    "< F. 1 ack 90000 -> drop.window ESTABLISHED\n"
	    "> F. 1 ack 90000 -> drop.window ESTABLISHED\n"},
    {"late data: what was acknowledged long since is sent again (conntrack_ack_loss_stall.pkt)", STRICT,
     OPENED "< . 1 ack 1 win 65535 -> pass\n"
	    "> . 1 ack 1 win 65535 -> pass\n"
	    "< P. 1:33581 ack 1 win 257 -> pass\n"
	    "> . 1 ack 33581 win 65535 -> pass\n"
	    "< P. 33581:67161 ack 1 win 257 -> pass\n"
	    "> . 1 ack 67161 win 65535 -> pass\n"
	    "< P. 1:1461 ack 1 win 257 -> pass ESTABLISHED\n"
	    "> . 1 ack 67161 win 65535 -> pass ESTABLISHED\n"},

    {"window overrun: filled to the last byte, and one to probe", STRICT,
     OPENED "< P. 1:10001 ack 1 -> pass ESTABLISHED\n"
	    "< P. 10001:10002 ack 1 -> pass ESTABLISHED\n"
	    "< P. 10002:10003 ack 1 -> drop.window ESTABLISHED\n"
	    "> . 1 ack 10001 -> pass ESTABLISHED\n"
	    "< P. 10002:10003 ack 1 -> pass ESTABLISHED\n"},
    {"window overrun: what begins inside and ends behind does not widen it", STRICT,
     OPENED "< P. 10001:60001 ack 1 -> pass ESTABLISHED\n"
	    "< P. 60001:60002 ack 1 -> drop.window ESTABLISHED\n"
	    "< R 60002 -> drop.window ESTABLISHED\n"},
    {"window overrun: a closed window is probed, not filled", STRICT,
     OPENED "< P. 1:10001 ack 1 -> pass ESTABLISHED\n"
	    "> . 1 ack 10001 win 0 -> pass ESTABLISHED\n"
	    "< . 10000 ack 1 -> pass ESTABLISHED\n"
	    "< P. 10001:10002 ack 1 -> pass ESTABLISHED\n"
	    "> . 1 ack 10001 win 0 -> pass ESTABLISHED\n"
	    "< P. 10003:10013 ack 1 -> drop.window ESTABLISHED\n"
	    "> . 1 ack 10001 win 5000 -> pass ESTABLISHED\n"
	    "< P. 10003:10013 ack 1 -> pass ESTABLISHED\n"},
    {"window overrun: what was sent before the window shrank passes (RFC 9293 3.8.6)", STRICT,
     OPENED "> . 1 ack 1 win 100 -> pass ESTABLISHED\n"
	    "< P. 1:10001 ack 1 -> pass ESTABLISHED\n"},
    {"window overrun: until a SYN is acknowledged its window is not scaled (RFC 7323 2.2)", STRICT,
     "< S 0 wscale 10 -> pass.rule SYN_SENT\n"
     "> S. 0 ack 1 wscale 10 -> pass SYN_RECV\n"
     "< P. 1:10001 ack 1 -> pass ESTABLISHED\n"
     "< P. 10002:10003 ack 1 -> drop.window ESTABLISHED\n"
     "> . 1 ack 10001 -> pass ESTABLISHED\n"
     "< P. 10240001:10240002 ack 1 -> pass ESTABLISHED\n"},

    {"sequence wrap: in the SYN", STRICT,
     "isn 4294967295 4294967295\n" OPENED "< P. 1:101 ack 1 -> pass ESTABLISHED\n"
     "> P. 1:101 ack 101 -> pass ESTABLISHED\n"},
    {"sequence wrap: in the middle of data and of its acknowledgment", STRICT,
     "isn 4294962296 4294962296\n" OPENED "< P. 1:9001 ack 1 -> pass ESTABLISHED\n"
     "> . 1 ack 4001 -> pass ESTABLISHED\n"
     "> P. 1:9001 ack 9001 -> pass ESTABLISHED\n"
     "< . 9001 ack 9001 -> pass ESTABLISHED\n"},
    {"sequence wrap: in the FINs", STRICT, "isn 4294967294 4294967294\n" OPENED CLOSED_HERE},
    {"sequence wrap: an RST on either side of zero", STRICT,
     "isn 4294967290 4294967290\n" OPENED "< R 20 -> pass CLOSED\n"
     "> . 1 ack 1 -> pass ESTABLISHED\n"
     "< R 20000 -> drop.window ESTABLISHED\n"
     "< R 1 -> pass CLOSED\n"},
    {"sequence wrap: what lies outside stays outside", STRICT,
     "isn 4294967290 4294967290\n" OPENED "< P. 10002:10012 ack 1 -> drop.window ESTABLISHED\n"
     "< P. -66010:-66000 ack 1 -> drop.window ESTABLISHED\n"
     "< P. 1:11 ack 2 -> drop.window ESTABLISHED\n"
     "< P. 1:11 ack -132000 -> drop.window ESTABLISHED\n"},
    {"window scale: one side alone offers it, so neither scales (RFC 7323 1.3)", STRICT,
     "< S 0 wscale 7 -> pass.rule SYN_SENT\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "< . 1 ack 1 -> pass ESTABLISHED\n"
     "> P. 10002:10003 ack 1 -> drop.window ESTABLISHED\n"},
    {"window scale: more than 14 is 14 (RFC 7323 2.3)", STRICT,
     "< S 0 wscale 200 -> pass.rule SYN_SENT\n"
     "> S. 0 ack 1 wscale 200 -> pass SYN_RECV\n"
     "< . 1 ack 1 -> pass ESTABLISHED\n"
     "> P. 163840001:163840002 ack 1 -> pass ESTABLISHED\n"
     "> P. 163840002:163840003 ack 1 -> drop.window ESTABLISHED\n"},
};

/* RFC 7323 2.2: the last byte that a window of 60000 at each scale lets through, and the next. */
enum { SCALES = 15 };

static int play_scales(void) {
	static char scripts[SCALES][512], names[SCALES][32];
	static struct scenario scaled[SCALES];
	for (unsigned scale = 0; scale < SCALES; scale++) {
		unsigned last = (60000u << scale) + 1;
		snprintf(names[scale], sizeof names[scale], "window scale: %u", scale);
		snprintf(scripts[scale], sizeof scripts[scale],
			 "< S 0 wscale %u -> pass.rule SYN_SENT\n"
			 "> S. 0 ack 1 wscale 0 -> pass SYN_RECV\n"
			 "< . 1 ack 1 win 60000 -> pass ESTABLISHED\n"
			 "> P. %u:%u ack 1 -> pass ESTABLISHED\n"
			 "> P. %u:%u ack 1 -> drop.window ESTABLISHED\n"
			 "< P. 10002:10003 ack 1 -> drop.window ESTABLISHED\n",
			 scale, last, last + 1, last + 1, last + 2);
		scaled[scale] = (struct scenario){names[scale], STRICT, scripts[scale]};
	}
	return play_all("scales", scaled, SCALES);
}

int main(void) {
	int failed = play_all("open connections", scenarios, sizeof scenarios / sizeof *scenarios);
	return failed + play_scales();
}
