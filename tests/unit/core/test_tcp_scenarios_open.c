/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * TCP scenarios of opening: handshakes that cross, split, are repeated, answered by strangers, forged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "scenario.h"

/* Linux selftests: nf_conntrack_packetdrill.sh (conntrack_*.pkt), conntrack_tcp_unreplied.sh. */
static const struct scenario scenarios[] = {
    /* RFC 9293 3.10.7.3, 3.10.7.4 */
    {"invalid RST after SYN: the opener's own is the other side's to judge", STRICT,
     "< S 0 -> pass.rule SYN_SENT\n"
     "< R 555 -> pass SYN_SENT\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "< . 1 ack 1 -> pass ESTABLISHED\n"},
    {"invalid RST after SYN: one without ACK answers no SYN", STRICT,
     "> S 0 -> pass.rule SYN_SENT\n"
     "< R 0 -> drop.window SYN_SENT\n"
     "< R 1 -> drop.window SYN_SENT\n"
     "< S. 0 ack 1 -> pass SYN_RECV\n"
     "> . 1 ack 1 -> pass ESTABLISHED\n"},
    {"invalid RST after SYN: one that acknowledges something else", STRICT,
     "> S 0 -> pass.rule SYN_SENT\n"
     "< R. 0 ack 0 -> drop.window SYN_SENT\n"
     "< R. 0 ack 2 -> drop.window SYN_SENT\n"
     "< R. 0 ack 643160523 -> drop.window SYN_SENT\n"
     "< S. 0 ack 1 -> pass SYN_RECV\n"},
    {"invalid RST after SYN: outside the window of a half-open connection", STRICT,
     "< S 0 -> pass.rule\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "< R 90000 -> drop.window SYN_RECV\n"
     "< R -90000 -> drop.window SYN_RECV\n"
     "< . 1 ack 1 -> pass ESTABLISHED\n"},
    {"invalid RST after SYN: on the way of a lease it changes nothing", LEASES,
     "< S 0 -> pass.rule SYN_SENT lease\n"
     "copy > S. 0 ack 1 -> SYN_RECV\n"
     "copy < R 90000 -> SYN_RECV\n"
     "copy < . 1 ack 1 -> ESTABLISHED\n"},
    {"a good RST after SYN refuses the connection", STRICT,
     "> S 0 -> pass.rule SYN_SENT\n"
     "< R. 0 ack 1 -> pass CLOSED\n"
     "wait 15 -> -\n"},

    /* RFC 9293 3.5, figure 7 */
    {"simultaneous open: two SYNs, two SYN/ACKs", STRICT,
     "> S 0 -> pass.rule SYN_SENT\n"
     "< S 0 -> pass SYN_RECV\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "< S. 0 ack 1 -> pass ESTABLISHED\n"
     "> P. 1:9001 ack 1 -> pass ESTABLISHED\n"
     "< . 1 ack 9001 -> pass ESTABLISHED\n"
     "entries 1\n"},
    {"simultaneous open: the SYN/ACKs cross as well", STRICT,
     "< S 0 -> pass.rule SYN_SENT\n"
     "> S 0 -> pass SYN_RECV\n"
     "< S. 0 ack 1 -> pass SYN_RECV\n"
     "> S. 0 ack 1 -> pass ESTABLISHED\n"},
    {"simultaneous open: acknowledged without a SYN/ACK", STRICT,
     "> S 0 -> pass.rule SYN_SENT\n"
     "< S 0 -> pass SYN_RECV\n"
     "> . 1 ack 1 -> pass SYN_RECV\n"
     "< . 1 ack 1 -> pass ESTABLISHED\n"},
    {"simultaneous open: a SYN/ACK of wrong number completes nothing", STRICT,
     "> S 0 -> pass.rule SYN_SENT\n"
     "< S 0 -> pass SYN_RECV\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "< S. 0 ack 2 -> drop.window SYN_RECV\n"
     "< S. 0 ack 1 -> pass ESTABLISHED\n"},
    {"simultaneous open: both SYNs offer a scale, so windows are scaled", STRICT,
     "> S 0 wscale 7 -> pass.rule SYN_SENT\n"
     "< S 0 wscale 7 -> pass SYN_RECV\n"
     "> S. 0 ack 1 wscale 7 -> pass SYN_RECV\n"
     "< S. 0 ack 1 wscale 7 -> pass ESTABLISHED\n"
     "< . 1 ack 1 -> pass ESTABLISHED\n"
     "> . 1280001:1281001 ack 1 -> pass ESTABLISHED\n"
     "> . 1280002:1281001 ack 1 -> drop.window ESTABLISHED\n"},
    {"simultaneous open: the peer's SYN needs no rule where ours has one", "allow out tcp 40000 strict\n",
     "> S 0 -> pass.rule SYN_SENT\n"
     "< S 0 -> pass SYN_RECV\n"
     "port 40001\n"
     "< S 0 -> drop.default -\n"},
    {"simultaneous open: an RST in the middle ends it", STRICT,
     "> S 0 -> pass.rule SYN_SENT\n"
     "< S 0 -> pass SYN_RECV\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "< R. 1 ack 1 -> pass CLOSED\n"},

    /* Beardsley, Qian: The TCP Split Handshake, 2010 */
    {"split handshake: four ways, the server opens back", STRICT,
     "> S 0 -> pass.rule SYN_SENT\n"
     "< S 0 -> pass SYN_RECV\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "< . 1 ack 1 -> pass ESTABLISHED\n"
     "< P. 1:101 ack 1 -> pass ESTABLISHED\n"
     "entries 1\n"},
    {"split handshake: five ways, an ACK first", STRICT,
     "> S 0 -> pass.rule SYN_SENT\n"
     "< . 0 ack 1 -> pass SYN_SENT\n"
     "< S 0 -> pass SYN_RECV\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "< . 1 ack 1 -> pass ESTABLISHED\n"
     "entries 1\n"},
    {"split handshake: the ACK alone opens nothing and renews nothing", STRICT,
     "> S 0 -> pass.rule SYN_SENT\n"
     "wait 100 -> SYN_SENT\n"
     "< . 0 ack 1 -> pass SYN_SENT\n"
     "> P. 1:11 ack 1 -> drop.state SYN_SENT\n"
     "wait 20 -> -\n"},
    {"split handshake: who opened does not change, nor whose rule counts", STRICT,
     "> S 0 -> pass.rule SYN_SENT\n"
     "< S 0 -> pass SYN_RECV\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "< . 1 ack 1 -> pass ESTABLISHED\n"
     "reload allow out tcp 40000 strict\n"
     "< P. 1:101 ack 1 -> pass ESTABLISHED\n"
     "reload allow in tcp 22 strict\n"
     "reload default out drop\n"
     "< P. 101:201 ack 1 -> drop.cut CUT\n"},
    {"split handshake: a SYN back from another port is a new connection", "allow out tcp 40000 strict\n",
     "> S 0 -> pass.rule SYN_SENT\n"
     "port 40001\n"
     "< S 0 -> drop.default -\n"
     "< S. 0 ack 1 -> drop.no-connection -\n"},
    {"split handshake: of a connection from outside", STRICT,
     "< S 0 -> pass.rule SYN_SENT\n"
     "> . 0 ack 1 -> pass SYN_SENT\n"
     "> S 0 -> pass SYN_RECV\n"
     "< S. 0 ack 1 -> pass SYN_RECV\n"
     "> . 1 ack 1 -> pass ESTABLISHED\n"},

    {"SYN with another ISN: where nobody has answered it is a new connection", STRICT,
     "< S 0 -> pass.rule SYN_SENT\n"
     "< S 7000 -> pass.rule SYN_SENT\n"
     "> S. 0 ack 7001 -> pass SYN_RECV\n"
     "< . 7001 ack 1 -> pass ESTABLISHED\n"
     "entries 1\n"},
    {"SYN with another ISN: the answer to the first fits no more", STRICT,
     "> S 0 -> pass.rule SYN_SENT\n"
     "> S 7000 -> pass.rule SYN_SENT\n"
     "< S. 0 ack 1 -> drop.window SYN_SENT\n"
     "< S. 0 ack 7001 -> pass SYN_RECV\n"},
    {"SYN with another ISN: rules that have changed judge it anew", STRICT,
     "< S 0 -> pass.rule SYN_SENT\n"
     "reload default out drop\n"
     "< S 7000 -> drop.default -\n"},
    {"SYN with another ISN: to a half-open connection, challenged, cleared, opened", STRICT,
     "< S 0 -> pass.rule SYN_SENT\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "< S 7000 -> pass SYN_RECV\n"
     "> . 1 ack 1 -> pass SYN_RECV\n"
     "< R 1 -> pass CLOSED\n"
     "< S 7000 -> pass.rule SYN_SENT\n"
     "> S. 60000 ack 7001 -> pass SYN_RECV\n"
     "< . 7001 ack 60001 -> pass ESTABLISHED\n"},
    {"SYN with another ISN: a forged one spoils no handshake", STRICT,
     "< S 0 -> pass.rule SYN_SENT\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "< S 900000000 -> pass SYN_RECV\n"
     "< . 1 ack 1 -> pass ESTABLISHED\n"
     "< P. 900000001:900000011 ack 1 -> drop.window ESTABLISHED\n"},
    {"SYN with another ISN: by copies of what passed on a lease", LEASES,
     "< S 0 -> pass.rule SYN_SENT lease\n"
     "< S 7000 -> pass.rule SYN_SENT lease\n"
     "copy > S. 0 ack 7001 -> SYN_RECV\n"
     "copy < . 7001 ack 1 -> ESTABLISHED\n"},

    /* conntrack_tcp_unreplied.sh; RFC 5382 REQ-5 */
    {"half-open timers: SYNs do not renew SYN_SENT", STRICT,
     "< S 0 -> pass.rule SYN_SENT\n"
     "wait 60 -> SYN_SENT\n"
     "< S 0 -> pass SYN_SENT\n"
     "wait 59 -> SYN_SENT\n"
     "< S 0 -> pass SYN_SENT\n"
     "wait 1 -> -\n"},
    {"half-open timers: after them the next SYN is judged by new rules", STRICT,
     "> S 0 -> pass.rule SYN_SENT\n"
     "wait 63 -> SYN_SENT\n"
     "> S 0 -> pass SYN_SENT\n"
     "wait 57 -> -\n"
     "> S 0 -> pass.rule SYN_SENT\n"},
    {"half-open timers: SYN/ACKs do not renew SYN_RECV", STRICT,
     "< S 0 -> pass.rule SYN_SENT\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "wait 31 -> SYN_RECV\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "wait 28 -> SYN_RECV\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "wait 1 -> -\n"},
    {"half-open timers: SYNs do not renew SYN_RECV", STRICT,
     "< S 0 -> pass.rule SYN_SENT\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "wait 59 -> SYN_RECV\n"
     "< S 0 -> pass SYN_RECV\n"
     "< S 4711 -> pass SYN_RECV\n"
     "wait 1 -> -\n"},
    {"half-open timers: crossing SYNs do not renew SYN_RECV", STRICT,
     "> S 0 -> pass.rule SYN_SENT\n"
     "< S 0 -> pass SYN_RECV\n"
     "wait 59 -> SYN_RECV\n"
     "< S 0 -> pass SYN_RECV\n"
     "> S 0 -> pass SYN_RECV\n"
     "wait 1 -> -\n"},
    {"half-open timers: data before the handshake is complete does not renew", STRICT,
     "< S 0 -> pass.rule SYN_SENT\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "wait 59 -> SYN_RECV\n"
     "> P. 1:101 ack 1 -> pass SYN_RECV\n"
     "wait 1 -> -\n"},
    {"half-open timers: what is dropped does not renew", STRICT,
     "< S 0 -> pass.rule SYN_SENT\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "wait 59 -> SYN_RECV\n"
     "< . 1 ack 2 -> drop.window SYN_RECV\n"
     "wait 1 -> -\n"},
    {"half-open timers: copies do not renew", LEASES,
     "< S 0 -> pass.rule SYN_SENT lease\n"
     "copy > S. 0 ack 1 -> SYN_RECV\n"
     "wait 59 -> SYN_RECV\n"
     "copy > S. 0 ack 1 -> SYN_RECV\n"
     "copy < . 1 ack 4711 -> SYN_RECV\n"
     "wait 1 -> -\n"},

    /* conntrack_synack_old.pkt */
    {"stale SYN/ACK: of an old incarnation, then the good one", STRICT,
     "> S 0 -> pass.rule SYN_SENT\n"
     "< S. 145824453 ack 643160523 -> drop.window SYN_SENT\n"
     "> S 0 -> pass SYN_SENT\n"
     "< S. 145758918 ack 1 -> pass SYN_RECV\n"
     "> . 1 ack 145758919 -> pass ESTABLISHED\n"
     "> P. 1:2 ack 145758919 -> pass ESTABLISHED\n"},
    {"stale SYN/ACK: passed on a lease, reset by the host, then the good one", LEASES,
     "> S 0 -> pass.rule SYN_SENT lease\n"
     "copy < S. 145824453 ack 643160523 -> SYN_SENT\n"
     "copy > R 643160523 -> SYN_SENT\n"
     "copy < S. 145758918 ack 1 -> SYN_RECV\n"
     "copy > . 1 ack 145758919 -> ESTABLISHED\n"},
    {"stale SYN/ACK: one too few, one too many", STRICT,
     "> S 0 -> pass.rule SYN_SENT\n"
     "< S. 0 ack 0 -> drop.window SYN_SENT\n"
     "< S. 0 ack 2 -> drop.window SYN_SENT\n"
     "< S. 0 ack 1 -> pass SYN_RECV\n"},
    {"stale SYN/ACK: after the good one it takes nothing away", STRICT,
     "> S 0 -> pass.rule SYN_SENT\n"
     "< S. 0 ack 1 -> pass SYN_RECV\n"
     "< S. 145824453 ack 643160523 -> drop.window SYN_RECV\n"
     "> . 1 ack 1 -> pass ESTABLISHED\n"
     "< S. 145824453 ack 643160523 -> drop.window ESTABLISHED\n"
     "< P. 1:101 ack 1 -> pass ESTABLISHED\n"},
    {"stale SYN/ACK: to somebody who has asked nothing", STRICT,
     "< S. 0 ack 1 -> drop.no-connection -\n"
     "< S 0 -> pass.rule SYN_SENT\n"
     "< S. 0 ack 1 -> drop.state SYN_SENT\n"},

    {"illegal flags: none at all", STRICT, OPENED "< 0 1 -> drop.flags ESTABLISHED\n"},
    {"illegal flags: FIN without ACK", STRICT, OPENED "< F 1 -> drop.flags ESTABLISHED\n"},
    {"illegal flags: FIN, PSH, URG", STRICT, OPENED "< FPU 1 -> drop.flags ESTABLISHED\n"},
    {"illegal flags: PSH, URG, ECN without ACK", STRICT,
     OPENED "< P 1 -> drop.flags ESTABLISHED\n"
	    "< U 1 -> drop.flags ESTABLISHED\n"
	    "< EW 1 -> drop.flags ESTABLISHED\n"},
    {"illegal flags: SYN and FIN open nothing", STRICT,
     "< SF 0 -> drop.flags -\n"
     "< SF. 0 ack 1 -> drop.flags -\n"},
    {"illegal flags: SYN and FIN end nothing", STRICT,
     OPENED "< SF 1 -> drop.flags ESTABLISHED\n"
	    "< SF. 1 ack 1 -> drop.flags ESTABLISHED\n"},
    {"illegal flags: SYN and RST", STRICT,
     OPENED "< SR 1 -> drop.flags ESTABLISHED\n"
	    "< SR. 1 ack 1 -> drop.flags ESTABLISHED\n"},
    {"illegal flags: FIN and RST", STRICT,
     OPENED "< FR 1 -> drop.flags ESTABLISHED\n"
	    "< FR. 1 ack 1 -> drop.flags ESTABLISHED\n"},
    {"illegal flags: all of them", STRICT, OPENED "< FSRP.UEW 1 ack 1 -> drop.flags ESTABLISHED\n"},
    {"legal flags: a SYN that offers ECN, and data with every flag that may be", STRICT,
     "< SEW 0 -> pass.rule SYN_SENT\n"
     "> S.E 0 ack 1 -> pass SYN_RECV\n"
     "< P.UEW 1:11 ack 1 -> pass ESTABLISHED\n"
     "< FP.U 11:21 ack 1 -> pass FIN_WAIT\n"},

    /* RFC 7413 */
    {"SYN with data: taken", STRICT,
     "< S 0:500 -> pass.rule SYN_SENT\n"
     "> S. 0 ack 501 -> pass SYN_RECV\n"
     "> P. 1:4001 ack 501 -> pass SYN_RECV\n"
     "< . 501 ack 4001 -> pass ESTABLISHED\n"},
    {"SYN with data: not taken, and sent again", STRICT,
     "< S 0:500 -> pass.rule SYN_SENT\n"
     "> S. 0 ack 1 -> pass SYN_RECV\n"
     "< P. 1:501 ack 1 -> pass ESTABLISHED\n"
     "> . 1 ack 501 -> pass ESTABLISHED\n"},
    {"SYN with data: more acknowledged than was sent", STRICT,
     "> S 0:500 -> pass.rule SYN_SENT\n"
     "< S. 0 ack 502 -> drop.window SYN_SENT\n"
     "< R. 0 ack 502 -> drop.window SYN_SENT\n"
     "< S. 0 ack 501 -> pass SYN_RECV\n"},
    {"SYN with data: by copies of what passed on a lease", LEASES,
     "< S 0:500 -> pass.rule SYN_SENT lease\n"
     "copy > S. 0 ack 501 -> SYN_RECV\n"
     "copy < . 501 ack 1 -> ESTABLISHED\n"},
    {"SYN with data: it does not make the port open", "allow in tcp 23 strict\n",
     "< S 0:500 -> drop.default -\n"},
};

int main(void) {
	return play_all("opening", scenarios, sizeof scenarios / sizeof *scenarios);
}
