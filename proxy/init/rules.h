/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The redirection as text for `iptables-restore --noflush`, one family at a time. Pure: settings and what `iptables-save -t nat`
 * printed go in, text comes out. Everything lives in the nat table, so that one COMMIT puts all of it in place or none.
 *
 *     app ─▶ nat OUTPUT ─▶ OUTRIGGER_OUTBOUND ─▶ the outbound port on loopback
 *     peer ─▶ nat PREROUTING ─▶ OUTRIGGER_INBOUND ─▶ the inbound port
 *
 * Only packets that open a TCP connection enter the chains: UDP and DNS are never touched, and a connection that was open before the
 * rules came goes on as it was. Connections inside the pod (over lo, to 127.0.0.0/8, ::1 or the pod's own address) stay untouched; one
 * to the pod's own Service leaves by the default route and is captured like any other.
 *
 * The sidecar's own ports are not captured on the way in. That is all the nat table can do against loops (it cannot refuse a
 * connection), and all it must do: the outbound port listens on loopback, so the kernel refuses it from outside; a connection straight
 * to the inbound port reaches the proxy with itself as original destination, and the proxy resets it.
 *
 * Owner:   no state.
 * Errors:  a text that was cut (`is_cut`) must not be used.
 * Limits:  RULES_TEXT_MAX is far above what 64 port ranges and 64 networks each way can fill.
 */

#include "init/init_settings.h"

#define RULES_OUTBOUND_CHAIN "OUTRIGGER_OUTBOUND"
#define RULES_INBOUND_CHAIN "OUTRIGGER_INBOUND"
#define RULES_TEXT_MAX ((size_t)256 * 1024)

/*
 * What makes the nat table of this family hold our rules, given what it holds now (`installed`, empty for nothing). Our chains are
 * emptied and filled again; the rules that lead to them are left where they are if they are right, so that a second run changes nothing.
 * Rules of others are never named.
 */
void rules_write(const struct init_settings *s, enum addr_family family, struct str installed, struct text *out);

/* What takes all of ours away again; nothing at all is written if there is nothing of ours. */
void rules_write_removal(struct str installed, struct text *out);

/* Is one of our chains there? */
bool rules_are_installed(struct str installed);
