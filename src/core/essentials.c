/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The rules that stand in every ruleset unless it says `essentials off`. The first block
 * cannot be overruled; the last can, by any rule of the file.
 *
 * ICMPv6: what RFC 4890 section 4.4.1 says must not be dropped and belongs to no
 * connection. ICMP errors need no rule: they pass with the connection they are about.
 */
#include "parser.h"

const char essentials_first[] =
    "allow in any on lo\n"
    "allow out any on lo\n"
    "allow in icmpv6 nd-router-solicit,nd-router-advert,nd-neighbor-solicit,nd-neighbor-advert\n"
    "allow out icmpv6 nd-router-solicit,nd-router-advert,nd-neighbor-solicit,nd-neighbor-advert\n"
    "allow in icmpv6 ind-neighbor-solicit,ind-neighbor-advert\n"
    "allow out icmpv6 ind-neighbor-solicit,ind-neighbor-advert\n"
    "allow in icmpv6 mld-listener-query,mld-listener-report,mld-listener-done,mld2-listener-report\n"
    "allow out icmpv6 mld-listener-query,mld-listener-report,mld-listener-done,mld2-listener-report\n"
    "allow in icmpv6 cert-path-solicit,cert-path-advert\n"
    "allow out icmpv6 cert-path-solicit,cert-path-advert\n"
    "allow in icmpv6 multicast-router-advert,multicast-router-solicit,multicast-router-termination\n"
    "allow out icmpv6 multicast-router-advert,multicast-router-solicit,multicast-router-termination\n"
    "allow in udp 68 from any port 67\n"
    "allow out udp 67 from any port 68\n"
    "allow in udp 546 from any port 547\n"
    "allow out udp 547 from any port 546\n";

const char essentials_last[] = "allow in icmpv6 echo-request\n"
			       "allow out icmpv6 echo-request\n";
