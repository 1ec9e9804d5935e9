/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * TCP scenarios of ending and beginning again: half-closed connections, TIME_WAIT, timeouts, ports used
 * again, daemons that come back, tables that are full.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "scenario.h"

#define SMALL "connections 64\n" STRICT

static const struct scenario scenarios[] = {
    /* RFC 9293 3.10.7.4, RFC 6191, RFC 1337 */
    {"SYN on TIME_WAIT: a later ISN opens a new connection", STRICT,
     OPENED CLOSED_HERE "< S 100000 -> pass.rule SYN_SENT\n"
			"> S. 900000 ack 100001 -> pass SYN_RECV\n"
			"< . 100001 ack 900001 -> pass ESTABLISHED\n"
			"entries 1\n"},
    {"SYN on TIME_WAIT: an old duplicate, acknowledged and reset, holds up nothing", STRICT,
     OPENED CLOSED_HERE "< S -5000 -> pass.rule SYN_SENT\n"
			"> . 2 ack 2 -> pass SYN_SENT\n"
			"< R 2 -> pass SYN_SENT\n"
			"< S 100000 -> pass.rule SYN_SENT\n"
			"> S. 900000 ack 100001 -> pass SYN_RECV\n"},
    {"SYN on TIME_WAIT: an old duplicate alone is gone after a half-open's time", STRICT,
     OPENED CLOSED_HERE "< S -5000 -> pass.rule SYN_SENT\n"
			"> . 2 ack 2 -> pass SYN_SENT\n"
			"wait 119 -> SYN_SENT\n"
			"wait 1 -> -\n"},
    {"SYN on TIME_WAIT: rules that have changed refuse it", STRICT,
     OPENED CLOSED_HERE "reload default out drop\n"
			"< S 100000 -> drop.default -\n"},
    {"SYN on TIME_WAIT: the other direction needs a rule of its own",
     "allow in tcp 22 strict\ndefault out drop\n", OPENED CLOSED_HERE "> S 100000 -> drop.default\n"},
    {"SYN on TIME_WAIT: on the way of a lease", LEASES,
     OPENED_ON_LEASE "copy > F. 1 ack 1 -> CLOSE_WAIT\n"
		     "copy < F. 1 ack 2 -> TIME_WAIT\n"
		     "< S 100000 -> pass.rule SYN_SENT lease\n"},
    {"old duplicates in TIME_WAIT: data, FIN and ACK are the host's to answer", STRICT,
     OPENED CLOSED_HERE "< F. 1 ack 2 -> pass TIME_WAIT\n"
			"> . 2 ack 2 -> pass TIME_WAIT\n"
			"< P. 1:2 ack 1 -> pass TIME_WAIT\n"
			"< P. 90000:90010 ack 2 -> drop.window TIME_WAIT\n"},
    {"RST in TIME_WAIT: what is left ends sooner, not later (RFC 1337)", STRICT,
     OPENED CLOSED_HERE "< R 2 -> pass CLOSED\n"
			"wait 15 -> -\n"},

    /* RFC 9293 3.6 */
    {"half-closed: the peer has, the host sends on for an hour", STRICT,
     OPENED "< F. 1 ack 1 -> pass FIN_WAIT\n"
	    "> . 1 ack 2 -> pass FIN_WAIT\n"
	    "wait 239 -> FIN_WAIT\n"
	    "> P. 1:5001 ack 2 -> pass FIN_WAIT\n"
	    "wait 239 -> FIN_WAIT\n"
	    "< . 2 ack 5001 -> pass FIN_WAIT\n"
	    "wait 239 -> FIN_WAIT\n"
	    "> F. 5001 ack 2 -> pass LAST_ACK\n"
	    "< . 2 ack 5002 -> pass TIME_WAIT\n"},
    {"half-closed: the host has, the peer sends on", STRICT,
     OPENED "> F. 1 ack 1 -> pass CLOSE_WAIT\n"
	    "< P. 1:5001 ack 2 -> pass CLOSE_WAIT\n"
	    "wait 239 -> CLOSE_WAIT\n"
	    "> . 2 ack 5001 -> pass CLOSE_WAIT\n"
	    "wait 239 -> CLOSE_WAIT\n"
	    "< F. 5001 ack 2 -> pass LAST_ACK\n"},
    {"half-closed: idle for four minutes it goes (RFC 5382 REQ-5)", STRICT,
     OPENED "< F. 1 ack 1 -> pass FIN_WAIT\n"
	    "wait 239 -> FIN_WAIT\n"
	    "wait 1 -> -\n"},
    {"half-closed: an RST ends it", STRICT,
     OPENED "< F. 1 ack 1 -> pass FIN_WAIT\n"
	    "> R. 1 ack 2 -> pass CLOSED\n"},
    {"half-closed: a guessed RST does not make it open again, nor end it", STRICT,
     OPENED "< F. 1 ack 1 -> pass FIN_WAIT\n"
	    "> R 5000 -> pass CLOSED\n"
	    "< . 2 ack 1 -> pass FIN_WAIT\n"},
    {"half-closed: a lease holds for it too", LEASES,
     OPENED_ON_LEASE "copy < F. 1 ack 1 -> FIN_WAIT\n"
		     "> P. 70000:70100 ack 2 -> pass FIN_WAIT lease\n"
		     "copy > F. 90000 ack 2 -> TIME_WAIT\n"},
    {"lost last ACK: the FIN is sent again until it is acknowledged", STRICT,
     OPENED "> F. 1 ack 1 -> pass CLOSE_WAIT\n"
	    "< F. 1 ack 2 -> pass LAST_ACK\n"
	    "wait 59 -> LAST_ACK\n"
	    "< F. 1 ack 2 -> pass LAST_ACK\n"
	    "wait 59 -> LAST_ACK\n"
	    "> . 2 ack 2 -> pass TIME_WAIT\n"},
    {"lost last ACK: behind the firewall; the FIN comes again in TIME_WAIT", STRICT,
     OPENED CLOSED_HERE "wait 30 -> TIME_WAIT\n"
			"< F. 1 ack 2 -> pass TIME_WAIT\n"
			"> . 2 ack 2 -> pass TIME_WAIT\n"
			"wait 59 -> TIME_WAIT\n"},
    {"lost last ACK: nobody comes back, and it goes", STRICT,
     OPENED "> F. 1 ack 1 -> pass CLOSE_WAIT\n"
	    "< F. 1 ack 2 -> pass LAST_ACK\n"
	    "wait 60 -> -\n"},
    {"lost last ACK: a wrong number is not the last ACK", STRICT,
     OPENED "> F. 1 ack 1 -> pass CLOSE_WAIT\n"
	    "< F. 1 ack 2 -> pass LAST_ACK\n"
	    "> . 2 ack 3 -> drop.window LAST_ACK\n"
	    "> . 2 ack 1 -> pass LAST_ACK\n"
	    "> . 2 ack 2 -> pass TIME_WAIT\n"},
    {"lost FIN: the other side's comes first after all", STRICT,
     OPENED "< P. 1:101 ack 1 -> pass ESTABLISHED\n"
	    "> F. 1 ack 102 -> drop.window ESTABLISHED\n"
	    "< F. 101 ack 1 -> pass FIN_WAIT\n"
	    "> F. 1 ack 102 -> pass LAST_ACK\n"
	    "< . 102 ack 2 -> pass TIME_WAIT\n"},

    /* What the daemon has not seen open. */
    {"pick-up off: segments of unknown connections are dropped", STRICT,
     OPENED "forget\n"
	    "< . 1 ack 1 -> drop.no-connection -\n"
	    "< P. 1:101 ack 1 -> drop.no-connection -\n"
	    "< S. 0 ack 1 -> drop.no-connection -\n"
	    "< F. 1 ack 1 -> drop.no-connection -\n"
	    "< R 1 -> drop.no-connection -\n"
	    "> P. 1:101 ack 1 -> drop.no-connection -\n"},
    {"pick-up off: the host may say that there is none", STRICT,
     OPENED "forget\n"
	    "> R 1 -> pass.reset -\n"
	    "> R. 1 ack 1 -> pass.reset -\n"},
    {"pick-up on: what a rule allows goes on, on a lease", "pickup on\n" LEASES,
     OPENED "forget\n"
	    "< P. 5000001:5000101 ack 7000001 -> pass.pickup ESTABLISHED lease\n"
	    "> . 7000001 ack 5000101 -> pass ESTABLISHED lease\n"},
    {"pick-up on, strict: what comes after the first must be near it", "pickup on\n" STRICT,
     OPENED "forget\n"
	    "< P. 5000001:5000101 ack 7000001 -> pass.pickup ESTABLISHED no-lease\n"
	    "> . 7000001 ack 5000101 -> pass ESTABLISHED no-lease\n"
	    "< P. 2000000000:2000000010 ack 7000001 -> drop.window ESTABLISHED\n"
	    "< R 2000000000 -> drop.window ESTABLISHED\n"},
    {"pick-up on: a closed port stays closed", "pickup on\nallow in tcp 23\n",
     "< P. 1:101 ack 1 -> drop.default -\n"
     "< S. 0 ack 1 -> drop.no-connection -\n"},
    {"pick-up on: an RST takes nothing up", "pickup on\n" STRICT,
     "< R 1 -> drop.no-connection -\n"
     "< R. 1 ack 1 -> drop.no-connection -\n"},
    {"pick-up on: a FIN is taken up as what it is", "pickup on\n" STRICT,
     "< F. 1 ack 1 -> pass.pickup FIN_WAIT\n"
     "> F. 1 ack 2 -> pass LAST_ACK\n"
     "< . 2 ack 2 -> pass TIME_WAIT\n"},
    {"restart, strict: the windows are learned from the next segment, then they hold", STRICT,
     OPENED "restart\n"
	    "< P. 90000001:90000101 ack 70000001 -> pass ESTABLISHED no-lease\n"
	    "> . 70000001 ack 90000101 -> pass ESTABLISHED\n"
	    "< P. 2000000000:2000000010 ack 70000001 -> drop.window ESTABLISHED\n"},
    {"restart, with leases: the next segment brings another", LEASES,
     OPENED_ON_LEASE "restart\n"
		     "< P. 90000001:90000101 ack 70000001 -> pass ESTABLISHED lease\n"},
    {"restart: a SYN and an RST teach nothing", STRICT,
     OPENED "restart\n"
	    "< S 4711 -> pass ESTABLISHED\n"
	    "< R 4711 -> pass CLOSED\n"
	    "> P. 70000001:70000101 ack 90000001 -> pass ESTABLISHED\n"
	    "< . 90000001 ack 70000101 -> pass ESTABLISHED\n"},
    {"restart: half-closed, and the other side closes too", STRICT,
     OPENED "< F. 1 ack 1 -> pass FIN_WAIT\n"
	    "restart\n"
	    "> P. 70001:70101 ack 2 -> pass FIN_WAIT\n"
	    "> F. 70101 ack 2 -> pass LAST_ACK\n"
	    "< . 2 ack 70102 -> pass TIME_WAIT\n"},
    {"restart: the last ACK alone is missing", STRICT,
     OPENED "> F. 1 ack 1 -> pass CLOSE_WAIT\n"
	    "< F. 1 ack 2 -> pass LAST_ACK\n"
	    "restart\n"
	    "< F. 1 ack 2 -> pass LAST_ACK\n"
	    "> . 2 ack 2 -> pass TIME_WAIT\n"},
    {"restart: a closing connection does not open again", STRICT,
     OPENED "> F. 1 ack 1 -> pass CLOSE_WAIT\n"
	    "< F. 1 ack 2 -> pass LAST_ACK\n"
	    "restart\n"
	    "< . 2 ack 1 -> pass LAST_ACK\n"
	    "wait 60 -> -\n"},
    {"restart: within a handshake", STRICT,
     "< S 0 -> pass.rule SYN_SENT\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "restart\n"
     "< . 1 ack 1 -> pass ESTABLISHED\n"
     "< P. 1:101 ack 1 -> pass ESTABLISHED\n"},
    {"restart: a connection that runs out does so in its time", STRICT,
     OPENED "wait 7000 -> ESTABLISHED\n"
	    "restart\n"
	    "wait 439 -> ESTABLISHED\n"
	    "wait 1 -> -\n"},
    {"the guard has let packets pass: what it let pass is not held against the next", STRICT,
     OPENED "< P. 90000:90010 ack 1 -> drop.window ESTABLISHED\n"
	    "unseen\n"
	    "< P. 90000:90010 ack 50000 -> pass ESTABLISHED\n"
	    "> . 50000 ack 90010 -> pass ESTABLISHED\n"},

    /* RFC 5382 REQ-5, RFC 7857 2.1: each state's seconds */
    {"timeout: SYN_SENT 120", STRICT,
     "< S 0 -> pass.rule SYN_SENT\n"
     "wait 119 -> SYN_SENT\n"
     "wait 1 -> -\n"},
    {"timeout: SYN_RECV 60", STRICT,
     "< S 0 -> pass.rule SYN_SENT\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "wait 59 -> SYN_RECV\n"
     "wait 1 -> -\n"},
    {"timeout: ESTABLISHED 7440, not less than two hours and four minutes", STRICT,
     OPENED "wait 7439 -> ESTABLISHED\n"
	    "wait 1 -> -\n"},
    {"timeout: ESTABLISHED is renewed by a keep-alive every two hours", STRICT,
     OPENED "wait 7200 -> ESTABLISHED\n"
	    "< . 0 ack 1 -> pass ESTABLISHED\n"
	    "wait 7200 -> ESTABLISHED\n"
	    "> . 1 ack 1 -> pass ESTABLISHED\n"
	    "wait 7200 -> ESTABLISHED\n"},
    {"timeout: CLOSE_WAIT 240", STRICT,
     OPENED "> F. 1 ack 1 -> pass CLOSE_WAIT\n"
	    "wait 239 -> CLOSE_WAIT\n"
	    "wait 1 -> -\n"},
    {"timeout: TIME_WAIT 60", STRICT, OPENED CLOSED_HERE "wait 59 -> TIME_WAIT\nwait 1 -> -\n"},
    {"timeout: CLOSED 15, and RSTs do not renew it", STRICT,
     OPENED "< R 1 -> pass CLOSED\n"
	    "wait 14 -> CLOSED\n"
	    "< R 1 -> pass CLOSED\n"
	    "wait 1 -> -\n"},
    {"timeout: the rules file's hold", "timeout established 300\ntimeout syn-sent 5\n" STRICT,
     "< S 0 -> pass.rule SYN_SENT\n"
     "wait 5 -> -\n" OPENED "wait 299 -> ESTABLISHED\n"
     "wait 1 -> -\n"},
    {"timeout: what comes after it is a stranger", STRICT,
     OPENED "wait 7440 -> -\n"
	    "< P. 1:101 ack 1 -> drop.no-connection -\n"
	    "> P. 1:101 ack 1 -> drop.no-connection -\n"},

    {"port used again: after an exact RST at once", STRICT,
     OPENED "< R 1 -> pass CLOSED\n"
	    "< S 4711 -> pass.rule SYN_SENT\n"
	    "> S. 900000 ack 4712 -> pass SYN_RECV\n"
	    "< . 4712 ack 900001 -> pass ESTABLISHED\n"
	    "entries 1\n"},
    {"port used again: after a refusal", STRICT,
     "< S 0 -> pass.rule SYN_SENT\n"
     "> R. 0 ack 1 -> pass CLOSED\n"
     "< S 4711 -> pass.rule SYN_SENT\n"
     "> S. 0 ack 4712 -> pass SYN_RECV\n"},
    {"port used again: after a guessed RST it is the same connection", STRICT,
     OPENED "< R 5000 -> pass CLOSED\n"
	    "< S 4711 -> pass CLOSED\n"
	    "> . 1 ack 1 -> pass ESTABLISHED\n"
	    "< P. 4712:4722 ack 900000 -> drop.window ESTABLISHED\n"},
    {"port used again: in LAST_ACK, where only the last ACK was lost", STRICT,
     OPENED "> F. 1 ack 1 -> pass CLOSE_WAIT\n"
	    "< F. 1 ack 2 -> pass LAST_ACK\n"
	    "< S 100000 -> pass LAST_ACK\n"
	    "> S. 900000 ack 100001 -> pass SYN_RECV\n"
	    "< . 100001 ack 900001 -> pass ESTABLISHED\n"},
    {"port used again: nothing of the old connection fits the new one", STRICT,
     OPENED CLOSED_HERE "< S 900000000 -> pass.rule SYN_SENT\n"
			"> S. 800000000 ack 900000001 -> pass SYN_RECV\n"
			"< . 1 ack 1 -> drop.window SYN_RECV\n"
			"< R 2 -> drop.window SYN_RECV\n"
			"< . 900000001 ack 800000001 -> pass ESTABLISHED\n"
			"< P. 1:101 ack 1 -> drop.window ESTABLISHED\n"},
    {"port used again: by a connection of the other direction", STRICT,
     OPENED "< R 1 -> pass CLOSED\n"
	    "> S 4711 -> pass.rule SYN_SENT\n"
	    "< S. 0 ack 4712 -> pass SYN_RECV\n"},
    {"port used again: after the connection was cut", STRICT,
     OPENED "reload default out drop\n"
	    "< P. 1:101 ack 1 -> drop.cut CUT\n"
	    "reload allow in tcp 22 strict\n"
	    "< P. 1:101 ack 1 -> drop.cut CUT\n"
	    "< S 4711 -> pass.rule SYN_SENT\n"},
    {"port used again: a lease's windows are not the next connection's", LEASES,
     OPENED_ON_LEASE "copy < R 1 -> CLOSED\n"
		     "< S 900000000 -> pass.rule SYN_SENT lease\n"
		     "copy > S. 800000000 ack 1 -> SYN_SENT\n"
		     "copy > S. 800000000 ack 900000001 -> SYN_RECV\n"
		     "copy < . 900000001 ack 800000001 -> ESTABLISHED\n"},

    {"flood: of SYNs, and an open connection goes on", SMALL,
     OPENED "flood 2000 -> pass.rule\n"
	    "< P. 1:101 ack 1 -> pass ESTABLISHED\n"
	    "entries 64\n"},
    {"flood: a handshake that is quicker than it comes to its end", SMALL,
     "flood 100 -> pass.rule\n" OPENED "flood 2000 -> pass.rule\n"
     "< P. 1:101 ack 1 -> pass ESTABLISHED\n"},
    {"flood: the oldest half-open goes first", SMALL,
     "port 40001\n"
     "< S 0 -> pass.rule SYN_SENT\n"
     "port 40000\n"
     "< S 0 -> pass.rule SYN_SENT\n"
     "flood 63 -> pass.rule\n"
     "wait 0 -> SYN_SENT\n"
     "port 40001\n"
     "wait 0 -> -\n"},
    {"flood: a half-open one that had to go is opened by the next SYN", SMALL,
     "< S 0 -> pass.rule SYN_SENT\n"
     "flood 64 -> pass.rule\n"
     "> S. 0 ack 1 -> drop.no-connection -\n"
     "< S 0 -> pass.rule SYN_SENT\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"},
    {"flood: closing connections go before open ones", SMALL,
     OPENED CLOSED_HERE "port 40001\n" OPENED "flood 2000 -> pass.rule\n"
			"< P. 1:101 ack 1 -> pass ESTABLISHED\n"},
    {"flood: it is over when its timeout is", SMALL,
     "flood 2000 -> pass.rule\n"
     "wait 120 -> -\n"
     "entries 0\n" OPENED "entries 1\n"},
    {"flood: to a closed port enters nothing", "connections 64\nallow in tcp 23\n",
     "flood 2000 -> drop.default\n"
     "entries 0\n"},
};

int main(void) {
	return play_all("ending", scenarios, sizeof scenarios / sizeof *scenarios);
}
