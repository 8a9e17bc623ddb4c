#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""outrigger-init against the kernel: both backends, both families, in network namespaces of its own.

    sudo tests/e2e/test_init.py [--bin DIR] [unittest arguments]

DIR (or OUTRIGGER_TEST_BIN) is where outrigger-init is, or the build folder; without it, build/.
"""
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import unittest

import init_fixture
from init_fixture import (ADMIN, APP_PORT, INBOUND, NOBODY, OUTBOUND, PROXY_UID, SBIN, V4, V6, NamespaceTest, original_dst, run)


# ---- what the rules do, for each backend and family ----


class Redirection:
    family = V4

    def outbound(self):
        return self.listen(self.pod, self.family.af, self.family.loopback, OUTBOUND)

    def inbound(self):
        return self.listen(self.pod, self.family.af, self.family.any, INBOUND)

    def app(self, ns, port=APP_PORT, address=None):
        return self.listen(ns, self.family.af, address or self.family.any, port)

    def dial(self, ns, address, port=APP_PORT, **kwargs):
        return self.connect(ns, self.family.af, address, port, **kwargs)

    def saved(self):
        return self.save(self.family.program, self.mode)

    def saved_ours(self):
        return self.ours(self.family.program, self.mode)

    # outbound

    def test_outbound_is_captured_with_its_original_destination(self):
        listener, app = self.outbound(), self.app(self.peer)
        self.apply()
        client = self.dial(self.pod, self.family.peer)
        s = self.assert_connected(client, listener)
        self.assertEqual(original_dst(s), (self.family.peer, APP_PORT))
        self.assert_idle(app)

    def test_service_address_that_nobody_has_is_captured(self):
        listener = self.outbound()
        self.apply()
        client = self.dial(self.pod, self.family.service, 50051)
        self.assertEqual(original_dst(self.assert_connected(client, listener)), (self.family.service, 50051))

    def test_every_user_but_the_proxy_is_captured(self):
        listener = self.outbound()
        self.apply()
        for uid in (0, 1, PROXY_UID - 1, PROXY_UID + 1, NOBODY):
            with self.subTest(uid=uid):
                self.assert_connected(self.dial(self.pod, self.family.peer, uid=uid), listener)

    def test_proxys_own_connections_leave(self):
        listener, app = self.outbound(), self.app(self.peer)
        self.apply()
        self.assert_connected(self.dial(self.pod, self.family.peer, uid=PROXY_UID), app)
        self.assert_idle(listener)

    def test_another_proxy_uid_by_setting(self):
        listener, app = self.outbound(), self.app(self.peer)
        self.apply("--proxy-uid=1234")
        self.assert_connected(self.dial(self.pod, self.family.peer, uid=1234), app)
        self.assert_connected(self.dial(self.pod, self.family.peer, uid=PROXY_UID), listener)

    def test_loopback_is_untouched(self):
        listener, inbound, app = self.outbound(), self.inbound(), self.app(self.pod, address=self.family.loopback)
        self.apply()
        self.assert_connected(self.dial(self.pod, self.family.loopback), app)
        self.assert_idle(listener, inbound)

    def test_pods_own_address_is_untouched(self):
        listener, inbound, app = self.outbound(), self.inbound(), self.app(self.pod)
        self.apply()
        self.assert_connected(self.dial(self.pod, self.family.pod), app)
        self.assert_idle(listener, inbound)

    def test_proxys_connection_to_the_app_is_untouched(self):
        listener, inbound, app = self.outbound(), self.inbound(), self.app(self.pod)
        self.apply()
        self.assert_connected(self.dial(self.pod, self.family.pod, uid=PROXY_UID), app)
        self.assert_idle(listener, inbound)

    def test_skipped_outbound_ports_leave(self):
        listener = self.outbound()
        apps = {port: self.app(self.peer, port) for port in (7001, 7010, 7015, 7020)}
        self.apply("--skip-outbound-ports=7001,7010-7020")
        for port, app in apps.items():
            self.assert_connected(self.dial(self.pod, self.family.peer, port), app)
        for port in (7000, 7002, 7009, 7021):
            self.assert_connected(self.dial(self.pod, self.family.peer, port), listener)

    def test_more_than_fifteen_skipped_ports_all_leave(self):
        ports = [8000 + 2 * i for i in range(40)]
        apps = {port: self.app(self.peer, port) for port in (ports[0], ports[14], ports[15], ports[39])}
        self.outbound()
        self.apply("--skip-outbound-ports=" + ",".join(map(str, ports)))
        for port, app in apps.items():
            self.assert_connected(self.dial(self.pod, self.family.peer, port), app)

    def test_skipped_outbound_networks_leave(self):
        listener, app = self.outbound(), self.app(self.peer)
        self.apply(f"--skip-outbound-cidrs={V4.peer_network},{V6.peer_network}")
        self.assert_connected(self.dial(self.pod, self.family.peer), app)
        self.assert_connected(self.dial(self.pod, self.family.service), listener)

    def test_udp_leaves(self):
        self.outbound()
        server = self.udp(self.peer, self.family.af, self.family.any, 53)
        client = self.udp(self.pod, self.family.af)
        self.apply()
        client.sendto(b"question", (self.family.peer, 53))
        data, source = server.recvfrom(100)
        server.sendto(b"answer", source)
        self.assertEqual((data, client.recv(100)), (b"question", b"answer"))

    def test_connection_that_was_open_before_goes_on(self):
        app = self.app(self.peer)
        client = self.dial(self.pod, self.family.peer)
        s = self.accept(app)
        inbound_app = self.app(self.pod)
        inbound_client = self.dial(self.peer, self.family.pod)
        inbound_s = self.accept(inbound_app)
        self.outbound(), self.inbound()
        self.apply()
        for a, b in ((client, s), (s, client), (inbound_client, inbound_s), (inbound_s, inbound_client)):
            a.sendall(b"still")
            self.assertEqual(b.recv(5), b"still")

    def test_captured_connection_outlives_a_change_of_the_rules(self):
        listener = self.outbound()
        self.apply()
        client = self.dial(self.pod, self.family.peer)
        s = self.assert_connected(client, listener)
        self.apply(f"--skip-outbound-ports={APP_PORT}")
        client.sendall(b"still")
        self.assertEqual(s.recv(5), b"still")

    # inbound

    def test_inbound_is_captured_with_its_original_destination(self):
        listener, app = self.inbound(), self.app(self.pod)
        self.apply()
        s = self.assert_connected(self.dial(self.peer, self.family.pod), listener)
        self.assertEqual(original_dst(s), (self.family.pod, APP_PORT))
        self.assert_idle(app)

    def test_skipped_inbound_ports_reach_the_app(self):
        listener = self.inbound()
        apps = {port: self.app(self.pod, port) for port in (7001, 7010, 7020)}
        self.apply("--skip-inbound-ports=7001,7010-7020")
        for port, app in apps.items():
            self.assert_connected(self.dial(self.peer, self.family.pod, port), app)
        self.assert_connected(self.dial(self.peer, self.family.pod, 7000), listener)

    def test_skipped_inbound_networks_reach_the_app(self):
        app = self.app(self.pod)
        self.inbound()
        self.apply(f"--skip-inbound-cidrs={V4.peer_network},{V6.peer_network}")
        self.assert_connected(self.dial(self.peer, self.family.pod), app)

    def test_other_networks_are_captured_in_spite_of_skipped_ones(self):
        listener = self.inbound()
        self.apply(f"--skip-inbound-cidrs=203.0.113.0/24,2001:db8:1::/48")
        self.assert_connected(self.dial(self.peer, self.family.pod), listener)

    def test_skipped_outbound_settings_do_not_open_inbound(self):
        listener = self.inbound()
        self.apply(f"--skip-outbound-ports={APP_PORT}", f"--skip-outbound-cidrs={V4.peer_network},{V6.peer_network}")
        self.assert_connected(self.dial(self.peer, self.family.pod), listener)

    def test_inbound_udp_reaches_the_app(self):
        self.inbound()
        server, client = self.udp(self.pod, self.family.af, self.family.any, APP_PORT), self.udp(self.peer, self.family.af)
        self.apply()
        client.sendto(b"hello", (self.family.pod, APP_PORT))
        self.assertEqual(server.recv(100), b"hello")

    def test_forwarded_connection_is_not_captured(self):
        inbound, outbound, app = self.inbound(), self.outbound(), self.app(self.peer)
        self.apply()
        self.assert_connected(self.dial(self.inner, self.family.peer), app)
        self.assert_idle(inbound, outbound)

    # the sidecar's own ports

    def test_admin_port_is_reached_from_outside(self):
        inbound, admin = self.inbound(), self.app(self.pod, ADMIN)
        self.apply()
        self.assert_connected(self.dial(self.peer, self.family.pod, ADMIN), admin)
        self.assert_idle(inbound)

    def test_outbound_port_is_refused_from_outside(self):
        self.outbound(), self.inbound()
        self.apply()
        with self.assertRaises(ConnectionRefusedError):
            self.dial(self.peer, self.family.pod, OUTBOUND)

    def test_inbound_port_dialled_from_outside_shows_itself_as_destination(self):
        inbound = self.inbound()
        self.apply()
        s = self.assert_connected(self.dial(self.peer, self.family.pod, INBOUND), inbound)
        self.assertEqual(original_dst(s)[1], INBOUND)
        self.assertEqual(original_dst(s), s.getsockname()[:2])

    def test_ports_dialled_from_inside_show_themselves_as_destination(self):
        outbound, inbound = self.outbound(), self.inbound()
        self.apply()
        for address, port, listener in ((self.family.loopback, OUTBOUND, outbound), (self.family.loopback, INBOUND, inbound),
                                        (self.family.pod, INBOUND, inbound)):
            s = self.assert_connected(self.dial(self.pod, address, port), listener)
            self.assertEqual(original_dst(s), (address, port))

    def test_other_ports_by_setting(self):
        self.apply("--outbound-port=4001", "--inbound-port=4002", "--admin-port=4003")
        outbound = self.listen(self.pod, self.family.af, self.family.loopback, 4001)
        inbound, admin = self.app(self.pod, 4002), self.app(self.pod, 4003)
        self.assert_connected(self.dial(self.pod, self.family.peer), outbound)
        self.assert_connected(self.dial(self.peer, self.family.pod), inbound)
        self.assert_connected(self.dial(self.peer, self.family.pod, 4003), admin)

    # the table

    def test_kernel_holds_what_dry_run_prints(self):
        flags = ("--skip-outbound-ports=1-5,9", "--skip-inbound-cidrs=10.0.0.0/8,fd00::/8", f"--{'ipv6' if self.family is V4 else 'ipv4'}=off")
        printed = self.apply(*flags, "--dry-run").stdout
        self.assertEqual(self.saved_ours(), [])
        self.apply(*flags)
        self.assertCountEqual([line for line in printed.splitlines() if line.startswith("-A ")],
                              [line for line in self.saved_ours() if line.startswith("-A ")])

    def test_second_run_changes_nothing(self):
        flags = ("--skip-outbound-ports=1-5", "--skip-inbound-cidrs=10.0.0.0/8,fd00::/8")
        self.apply(*flags)
        first = self.saved()
        self.apply(*flags)
        self.assertEqual(self.saved(), first)
        self.assertEqual(sum("-j OUTRIGGER_OUTBOUND" in line for line in first), 1)

    def test_changed_settings_replace_the_old_ones(self):
        app, listener = self.app(self.peer, 7001), self.outbound()
        self.apply("--skip-outbound-ports=7002", "--proxy-uid=99")
        self.apply("--skip-outbound-ports=7001")
        replaced = self.saved()
        self.assert_connected(self.dial(self.pod, self.family.peer, 7001), app)
        self.assert_connected(self.dial(self.pod, self.family.peer, 7002), listener)
        self.apply("--remove")
        self.apply("--skip-outbound-ports=7001")
        self.assertEqual(self.saved(), replaced)

    def test_rule_that_was_doubled_is_made_one(self):
        self.apply()
        once = self.saved()
        self.iptables(f"{self.family.program}-{self.mode}", "-t", "nat", "-A", "OUTPUT", "-j", "OUTRIGGER_OUTBOUND")
        self.apply()
        self.assertEqual(self.saved(), once)

    def test_rules_of_others_survive_in_their_order(self):
        program = f"{self.family.program}-{self.mode}"
        for rule in ("-N MINE", "-A MINE -p tcp --dport 9 -j RETURN", "-A OUTPUT -p tcp -j MINE", "-A POSTROUTING -o eth9 -j MASQUERADE"):
            self.iptables(program, "-t", "nat", *rule.split())
        before = self.saved()
        self.apply()
        self.iptables(program, "-t", "nat", *"-A OUTPUT -d".split(), self.family.service, "-j", "RETURN")
        self.iptables(program, "-t", "nat", "-I", "PREROUTING", "-p", "udp", "-j", "MINE")
        with_ours = self.saved()
        self.apply()
        self.assertEqual(self.saved(), with_ours)
        self.iptables(program, "-t", "nat", *"-D OUTPUT -d".split(), self.family.service, "-j", "RETURN")
        self.iptables(program, "-t", "nat", "-D", "PREROUTING", "-p", "udp", "-j", "MINE")
        self.apply("--remove")
        self.assertEqual(self.saved(), before)

    def test_removal_leaves_nothing_of_ours(self):
        app = self.app(self.peer)
        self.apply()
        self.assertNotEqual(self.saved_ours(), [])
        self.apply("--remove")
        self.assertEqual(self.saved_ours(), [])
        self.assert_connected(self.dial(self.pod, self.family.peer), app)

    def test_removal_of_nothing_succeeds(self):
        self.assertIn("nothing of ours", self.apply("--remove").stderr)

    def test_failed_transaction_changes_nothing(self):
        self.apply("--skip-outbound-ports=7002")
        before = self.saved()
        name = f"{self.family.program}-{self.mode}"
        real = shutil.which(name + "-restore")
        script = f"#!/bin/sh\n/bin/sed 's/^COMMIT/-A OUTPUT -j NO_SUCH_CHAIN\\nCOMMIT/' | {real} \"$@\"\n"
        path = self.path_with(**{name + "-save": shutil.which(name + "-save"), name + "-restore": script})
        done = self.init(path=path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("NO_SUCH_CHAIN", done.stderr)
        self.assertEqual(self.saved(), before)

    # --check

    def check(self, *flags, **kwargs):
        other = "--ipv6=off" if self.family is V4 else "--ipv4=off"
        return self.init("--check", other, *flags, **kwargs)

    def test_check_succeeds_with_rules(self):
        self.apply()
        done = self.check()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"{self.family.name}", done.stderr)
        self.assertIn("with its original destination", done.stderr)

    def test_check_fails_without_rules(self):
        done = self.check()
        self.assertEqual(done.returncode, 1)
        self.assertIn(self.family.name, done.stderr)
        self.assertIn("not redirected", done.stderr)

    def test_check_fails_without_rules_when_the_port_is_taken(self):
        self.outbound()
        done = self.check()
        self.assertEqual(done.returncode, 1)
        self.assertIn("not redirected", done.stderr)

    def test_check_is_not_deceived_by_a_world_that_answers(self):
        """As a middlebox does that completes every handshake: here somebody beyond the first router has the address."""
        world = self.add_namespace("world")
        self.link(self.peer, "eth1", world, "eth0", ("10.79.0.1/24", "fd79::1/64"), ("10.79.0.2/24", "fd79::2/64"))
        self.ip(world, "route add default via 10.79.0.1", "-6 route add default via fd79::1")
        self.ip(world, f"addr add {self.family.documentation} dev lo")
        self.ip(self.peer, "route add 192.0.2.0/24 via 10.79.0.2", "-6 route add 2001:db8::/32 via fd79::2")
        self.forward(self.peer)
        app = self.app(world, 1)
        self.assert_connected(self.dial(self.pod, self.family.documentation, 1), app)
        self.outbound()
        done = self.check()
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("not redirected", done.stderr)

    def test_check_succeeds_while_the_proxy_listens(self):
        self.outbound()
        self.apply()
        done = self.check()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("in use", done.stderr)

    def test_check_fails_when_the_rules_lead_elsewhere(self):
        self.apply("--outbound-port=4001")
        done = self.check()
        self.assertEqual(done.returncode, 1)
        self.assertIn("refused", done.stderr)
        self.listen(self.pod, self.family.af, self.family.loopback, 4001)
        done = self.check()
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"not at port {OUTBOUND}", done.stderr)

    def test_check_needs_no_privilege(self):
        self.apply()
        done = self.check(user=NOBODY)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_check_as_the_proxys_user_says_why_it_cannot_work(self):
        self.apply()
        done = self.check(user=PROXY_UID)
        self.assertEqual(done.returncode, 1)
        self.assertIn("2140", done.stderr)

    def test_check_dials_what_the_settings_do_not_skip(self):
        flags = ("--skip-outbound-ports=1-7999", "--skip-outbound-cidrs=192.0.2.0/24,2001:db8::/32")
        self.apply(*flags)
        done = self.check(*flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(":8000 ", done.stderr)

    def test_check_leaves_the_port_free(self):
        self.apply()
        self.assertEqual(self.check().returncode, 0)
        with self.pod.entered():
            s = self.keep(socket.socket(self.family.af, socket.SOCK_STREAM))
        s.bind((self.family.loopback, OUTBOUND))

    def test_check_without_a_route_says_so(self):
        self.ip(self.pod, "-6 route del default" if self.family is V6 else "route del default")
        self.apply()
        done = self.init("--check")
        self.assertEqual(done.returncode, 0, done.stderr)  # the other family is proven
        self.assertIn("no route", done.stderr)
        self.assertEqual(self.check().returncode, 1)  # nothing is


class NftIPv4(Redirection, NamespaceTest):
    mode, family = "nft", V4


class NftIPv6(Redirection, NamespaceTest):
    mode, family = "nft", V6


class LegacyIPv4(Redirection, NamespaceTest):
    mode, family = "legacy", V4


class LegacyIPv6(Redirection, NamespaceTest):
    mode, family = "legacy", V6


# ---- which backend, which family ----

BROKEN_NFT = "#!/bin/sh\necho \"$0: Failed to initialize nft: Protocol not supported\" >&2\nexit 1\n"
NO_TABLE = "#!/bin/sh\necho \"ip6tables-restore: can't initialize ip6tables table \\`nat': Table does not exist\" >&2\nexit 3\n"
FAILING = "#!/bin/sh\necho 'ip6tables-restore: line 7 failed' >&2\nexit 1\n"


class Backends(NamespaceTest):
    def test_auto_takes_nft(self):
        done = self.apply()
        self.assertIn("iptables-nft", done.stderr)
        self.assertIn("ip6tables-nft", done.stderr)
        for program in ("iptables", "ip6tables"):
            self.assertNotEqual(self.ours(program, "nft"), [])
            self.assertEqual(self.ours(program, "legacy"), [])

    def test_nft_does_not_create_the_legacy_table(self):
        self.apply()
        for names in ("/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"):
            self.assertNotIn("nat", self.pod.run("cat", names))

    def test_auto_takes_legacy_where_nft_is_not_installed(self):
        path = self.path_with(**self.real_programs("iptables_legacy", "ip6tables_legacy"))
        self.assertIn("iptables-legacy", self.apply(path=path).stderr)
        self.assertNotEqual(self.ours("iptables", "legacy"), [])

    def test_auto_takes_legacy_where_the_kernel_refuses_nft(self):
        programs = self.real_programs("iptables_legacy", "ip6tables_legacy")
        for name in ("iptables_nft", "ip6tables_nft"):
            programs.update({f"{name}_save": BROKEN_NFT, f"{name}_restore": BROKEN_NFT})
        self.apply(path=self.path_with(**programs))
        self.assertNotEqual(self.ours("iptables", "legacy"), [])
        self.assertNotEqual(self.ours("ip6tables", "legacy"), [])

    def test_programs_without_a_backend_in_their_name_are_asked(self):
        for backend in ("nft", "legacy"):
            programs = {f"{p}_{verb}": f"{SBIN}/{p}-{backend}-{verb}"
                        for p in ("iptables", "ip6tables") for verb in ("save", "restore")}
            path = self.path_with(**programs)
            with self.subTest(backend=backend):
                self.apply(path=path)
                self.assertNotEqual(self.ours("iptables", backend), [])
                self.assertEqual(self.init(path=path, mode="nft" if backend == "legacy" else "legacy").returncode, 1)
                self.apply("--remove")

    def test_changing_the_backend_takes_the_old_rules_away(self):
        for old, new in (("legacy", "nft"), ("nft", "legacy")):
            self.apply(mode=old)
            done = self.apply(mode=new)
            self.assertIn("took away", done.stderr)
            for program in ("iptables", "ip6tables"):
                self.assertEqual(self.ours(program, old), [])
                self.assertNotEqual(self.ours(program, new), [])

    def test_removal_clears_both_backends(self):
        self.apply(mode="legacy")
        legacy = self.iptables("iptables-legacy-save", "-t", "nat")
        self.iptables("iptables-nft-restore", "--noflush", stdin=legacy)
        self.apply("--remove")
        for backend in ("nft", "legacy"):
            self.assertEqual(self.ours("iptables", backend), [])

    def test_busy_lock_is_waited_for(self):
        lock_path = os.path.join(self.folder, "lock")
        with open(lock_path, "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with subprocess.Popen([*self.pod.enter_words(), self.init_path, "--iptables-mode=legacy"],
                                  env={**os.environ, "XTABLES_LOCKFILE": lock_path}, stderr=subprocess.PIPE) as p:
                with self.assertRaises(subprocess.TimeoutExpired):
                    p.wait(1)
                fcntl.flock(lock, fcntl.LOCK_UN)
                self.assertEqual(p.wait(20), 0)


class MissingFamily(NamespaceTest):
    def disable_ipv6(self):
        self.pod.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.lo.disable_ipv6=1")

    def assert_goes_on_without_ipv6(self, done, reason):
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("IPv6", done.stderr)
        self.assertIn(reason, done.stderr)
        self.assertNotEqual(self.ours("iptables", "nft"), [])
        self.assertEqual(self.ours("ip6tables", "nft"), [])

    def test_ipv6_disabled_is_said_and_passed_over(self):
        self.disable_ipv6()
        self.assert_goes_on_without_ipv6(self.init(), "no loopback address ::1")

    def test_ipv6_disabled_is_an_error_when_ipv6_is_demanded(self):
        self.disable_ipv6()
        done = self.init("--ipv6=on")
        self.assertEqual(done.returncode, 1)
        self.assertIn("::1", done.stderr)

    def test_check_passes_over_ipv6_that_is_disabled(self):
        self.disable_ipv6()
        self.apply()
        done = self.init("--check")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.init("--check", "--ipv6=on").returncode, 1)

    def test_no_ip6tables_is_said_and_passed_over(self):
        path = self.path_with(**self.real_programs("iptables_nft"))
        self.assert_goes_on_without_ipv6(self.init(path=path), "ip6tables-nft-restore")

    def test_no_ip6tables_is_an_error_when_ipv6_is_demanded(self):
        path = self.path_with(**self.real_programs("iptables_nft"))
        self.assertEqual(self.init("--ipv6=on", path=path).returncode, 1)

    def test_no_table_in_the_kernel_is_said_and_passed_over(self):
        path = self.path_with(ip6tables_nft_save=f"{SBIN}/ip6tables-nft-save", ip6tables_nft_restore=NO_TABLE,
                              **self.real_programs("iptables_nft"))
        self.assert_goes_on_without_ipv6(self.init(path=path), "Table does not exist")

    def test_failure_of_the_program_is_an_error_and_shown(self):
        path = self.path_with(ip6tables_nft_save=f"{SBIN}/ip6tables-nft-save", ip6tables_nft_restore=FAILING,
                              **self.real_programs("iptables_nft"))
        done = self.init(path=path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("line 7 failed", done.stderr)

    def test_family_that_is_off_is_left_alone(self):
        self.apply("--ipv6=off")
        self.assertNotEqual(self.ours("iptables", "nft"), [])
        self.assertEqual(self.ours("ip6tables", "nft"), [])

    def test_ipv6_alone(self):
        self.apply("--ipv4=off")
        self.assertEqual(self.ours("iptables", "nft"), [])
        self.assertNotEqual(self.ours("ip6tables", "nft"), [])

    def test_no_program_at_all_is_an_error(self):
        done = self.init(path=self.path_with())
        self.assertEqual(done.returncode, 1)
        self.assertIn("neither iptables-nft-restore", done.stderr)
        self.assertIn("no address family is left", done.stderr)


class CommandLine(NamespaceTest):
    def test_without_privilege_the_missing_capability_is_named(self):
        for flags in ((), ("--remove",)):
            done = self.init(*flags, user=NOBODY)
            self.assertEqual(done.returncode, 1)
            self.assertIn("CAP_NET_ADMIN", done.stderr)

    def test_root_without_the_capability_is_told_so(self):
        done = run(*self.pod.enter_words(), "setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", self.init_path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("CAP_NET_ADMIN", done.stderr)

    def test_dry_run_needs_no_privilege_and_changes_nothing(self):
        done = self.init("--dry-run", user=NOBODY)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("-A OUTRIGGER_OUTBOUND -p tcp -j REDIRECT --to-ports 15140", done.stdout)
        self.assertEqual(self.ours("iptables", "nft"), [])

    def test_dry_run_is_what_iptables_restore_reads(self):
        text = self.init("--dry-run", "--ipv6=off").stdout
        self.iptables("iptables-nft-restore", "--noflush", stdin=text)
        by_hand = self.save("iptables", "nft")
        self.apply("--remove")
        self.apply("--ipv6=off")
        self.assertEqual(self.save("iptables", "nft"), by_hand)

    def test_settings_come_from_the_environment(self):
        done = self.init("--dry-run", env={"OUTRIGGER_PROXY_UID": "77"})
        self.assertIn("--uid-owner 77 ", done.stdout)

    def test_bad_settings_are_refused_before_anything_is_done(self):
        for flag in ("--proxy-uid=x", "--skip-inbound-ports=0", "--skip-inbound-cidrs=10.0.0.1/33", "--inbound-port=15140", "--what"):
            with self.subTest(flag=flag):
                done = self.init(flag)
                self.assertEqual(done.returncode, 2)
                self.assertIn(flag.split("=")[0], done.stderr)
        self.assertEqual(self.ours("iptables", "nft"), [])

    def test_help_version_and_print_config_end_with_success(self):
        for flag, expected in (("--help", "--skip-inbound-ports"), ("--version", "outrigger-init "), ("--print-config", "proxy-uid=2140")):
            with self.subTest(flag=flag):
                done = self.init(flag)
                self.assertEqual(done.returncode, 0)
                self.assertIn(expected, done.stdout)

    def test_two_capabilities_suffice(self):
        for mode in ("nft", "legacy"):
            with self.subTest(mode=mode):
                done = run(*self.pod.enter_words(), "setpriv", "--bounding-set=-all,+net_admin,+net_raw", "--inh-caps=-all",
                           "--no-new-privs", self.init_path, f"--iptables-mode={mode}")
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_read_only_root_suffices(self):
        for mode in ("nft", "legacy"):
            with self.subTest(mode=mode):
                done = run(*self.pod.enter_words(), "unshare", "-m", "sh", "-c",
                           f"mount -t tmpfs -o ro tmpfs /run && exec {self.init_path} --iptables-mode={mode}")
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_json_log(self):
        self.assertIn('"topic":"init"', self.apply("--log-format=json").stderr)


if __name__ == "__main__":
    if os.geteuid() != 0:
        raise SystemExit("test_init.py needs root: it makes network namespaces")
    if "--bin" in sys.argv:
        at = sys.argv.index("--bin")
        init_fixture.binary_dir = sys.argv[at + 1]
        del sys.argv[at:at + 2]
    init_fixture.find_init()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # unittest goes on after any other exception
    unittest.main(verbosity=2)
