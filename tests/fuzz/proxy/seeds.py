#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the named scripts of corpus/proxy that are where fuzzing starts (fuzz_proxy.c reads them). seeds.py FOLDER"""
import pathlib
import sys

BARE, IGNORANT, CUT_OFF, TALKATIVE = 1, 2, 4, 8  # bits of the first byte
ANSWER, EARLY, TRAILERS_ONLY, SILENT, REFUSE, RESET, GOAWAY, UNENDING, MUTE = range(9)  # enum plan
ACCEPT, REFUSED, REFUSED_LATER, HANG = range(4)  # enum dialling
INBOUND, RAW = 0x10, 0x20  # connect: bits beside the destination (0, 1: services; 2…5: endpoints)
MS, MS5, MS50, MS500, S1, S3, S12, S400 = range(8)
TURN = bytes([0xff])


def world(act, *arguments):
    return bytes([act << 4 | 15, *arguments])


def peer(which, act, *arguments):
    return bytes([which << 4 | act, *arguments])


def connect(how=0):
    """While nobody is there."""
    return bytes([0, how])


def passing(time):
    return world(2, time)


def answer(kind, endpoints, draining=0, service=0):
    return world(3, kind << 1 | service, endpoints, draining)


def plan(which, dialling=None):
    return b"".join(world(4, e | (0x80 | dialling << 4 if dialling is not None else 0), which) for e in range(4))


def headers(which, index, is_end, choice=0):
    return peer(which, 1, choice, index, 1 if is_end else 0)


def data(which, stream, size, is_end):
    return peer(which, 3, stream, size, 1 if is_end else 0, 0)


def scripts():
    unary = headers(0, 0, True)
    opened = headers(0, 0, False)
    yield "nothing", bytes([0])
    yield "unary", bytes([TALKATIVE]) + connect() + TURN + unary + TURN * 8
    yield "unary_bare", bytes([BARE]) + connect() + TURN + unary + TURN * 8
    yield "body_and_trailers", bytes([0]) + connect() + opened + data(0, 0, 100, 0) + TURN * 6 + data(0, 0, 0xd0, 0) + headers(0, 25, 1, 1) + TURN * 6
    yield "early_answer", bytes([0]) + connect() + plan(EARLY) + opened + TURN * 8 + data(0, 0, 9, 1) + TURN * 2
    yield "refused_everywhere", bytes([TALKATIVE]) + connect() + plan(REFUSE) + unary + TURN * 20
    yield "refused_with_body", bytes([0]) + connect() + plan(REFUSE) + opened + data(0, 0, 0xc4, 1) + TURN * 20
    yield "reset_by_endpoint", bytes([0]) + connect() + plan(RESET) + opened + data(0, 0, 0xf0, 0) + TURN * 8
    yield "goaway_by_endpoint", bytes([0]) + connect() + plan(GOAWAY) + unary + unary + TURN * 14
    yield "unending_then_client_gone", bytes([0]) + connect() + plan(UNENDING) + opened + TURN * 8 + peer(0, 12, 0) + TURN * 3
    yield "unending_then_endpoint_gone", bytes([TALKATIVE]) + connect() + plan(UNENDING) + opened + TURN * 8 + peer(1, 12, 1) + TURN * 3
    yield "nobody_listens", bytes([BARE]) + connect() + plan(ANSWER, REFUSED) + unary * 2 + TURN * 8
    yield "nobody_listens_later", bytes([0]) + connect() + plan(ANSWER, REFUSED_LATER) + unary * 2 + TURN * 12
    yield "nobody_answers", bytes([BARE]) + connect() + plan(ANSWER, HANG) + unary * 6 + TURN * 3 + passing(S3) + TURN * 3
    yield "mute_endpoint", bytes([0]) + connect() + plan(MUTE) + unary + TURN * 4 + passing(S3) + TURN * 3
    yield "silent_endpoint", bytes([0]) + connect() + plan(SILENT) + unary + TURN * 8 + passing(S12) + TURN + passing(S12) + TURN * 3
    yield "no_answer_of_discovery", bytes([IGNORANT]) + connect() + TURN * 2 + passing(S1) + unary + TURN * 6 + answer(2, 3) + TURN + unary + TURN * 6
    yield "no_service", bytes([IGNORANT]) + connect() + TURN * 2 + answer(0, 0) + unary + TURN * 6
    yield "raw_service", bytes([IGNORANT | TALKATIVE]) + connect() + TURN * 2 + answer(1, 0) + unary + TURN * 6
    yield "service_goes", bytes([0]) + connect() + plan(UNENDING) + opened + TURN * 8 + answer(0, 0) + TURN * 3 + passing(S3) + peer(0, 7, 0, 8) + TURN * 3
    yield "endpoints_change", bytes([0]) + connect() + plan(UNENDING) + opened + TURN * 6 + answer(2, 2) + TURN * 2 + unary + TURN * 6 + answer(2, 0x8f, 1) + TURN * 3
    yield "no_endpoints", bytes([0]) + connect() + TURN * 3 + answer(2, 0) + TURN + unary + TURN * 3
    yield "drained", bytes([0]) + connect() + plan(UNENDING) + opened + TURN * 8 + world(7) + TURN * 3 + peer(0, 7, 0, 8) + TURN * 3 + passing(S3)
    yield "shut_down_with_streams", bytes([CUT_OFF]) + connect() + plan(UNENDING) + opened + data(0, 0, 0xf1, 0) + TURN * 8
    yield "slow_reader", bytes([BARE]) + connect() + plan(UNENDING) + opened * 3 + peer(0, 13) + TURN * 4 + peer(1, 4, 20, 4) + TURN * 6 + peer(0, 13) + TURN * 4
    yield "bursts", bytes([BARE]) + connect() + peer(0, 4, 20, 0x17) + TURN * 6 + peer(0, 4, 20, 0x1d) + TURN * 4 + peer(0, 4, 12, 5) + TURN * 5
    yield "raw_tcp", bytes([0]) + connect(RAW) + peer(0, 0, 5, *b"HELLO") + TURN * 4 + peer(0, 11) + TURN * 3
    yield "server_first", bytes([0]) + connect(RAW | 2) + plan(MUTE) + passing(MS5) + TURN * 2 + peer(1, 0, 9, *b"220 hello") + TURN * 3 + peer(0, 0, 4, *b"QUIT") + TURN * 3 + peer(1, 12, 1) + TURN
    yield "half_preface", bytes([0]) + connect(RAW) + peer(0, 0, 10, *b"PRI * HTTP") + passing(MS5) + TURN * 3 + passing(S1) + TURN * 2
    yield "inbound", bytes([0]) + connect(INBOUND | 3) + TURN * 6 + unary + TURN * 6 + opened + data(0, 1, 50, 1) + TURN * 6
    yield "inbound_app_goes", bytes([TALKATIVE]) + connect(INBOUND | 3) + plan(UNENDING) + TURN * 6 + opened + TURN * 6 + peer(1, 8, 0, 0) + TURN * 2 + peer(1, 12, 1) + TURN * 4
    yield "inbound_app_mute", bytes([0]) + connect(INBOUND | 3) + plan(MUTE) + TURN * 3 + passing(S12) + TURN * 2
    yield "cut_small", bytes([BARE]) + connect() + world(5, 3) + world(6, 7) + opened + data(0, 0, 0xc4, 1) + TURN * 20
    yield "bad_headers", bytes([0]) + connect() + TURN * 3 + b"".join(headers(0, i, True) for i in range(10, 16)) + TURN * 6
    yield "large_headers", bytes([BARE]) + connect() + TURN * 3 + headers(0, 8, True) + headers(0, 9, True) + TURN * 6
    yield "odd_responses", bytes([0]) + connect() + plan(SILENT) + unary * 6 + TURN * 8 + b"".join(headers(1, 18 + i, False, 2 * i + 1) for i in range(7)) + TURN * 6
    yield "windows", bytes([0]) + connect() + peer(0, 5, 4, 0) + unary + TURN * 8 + peer(0, 6, 1, 0, 100) + TURN * 2 + peer(0, 5, 4, 0x87) + TURN * 3 + peer(0, 6, 0, 0x87) + TURN * 2
    yield "pings_and_settings", bytes([0]) + connect() + peer(0, 9, 0) * 8 + peer(0, 5, 3, 1) * 8 + TURN * 4
    yield "timeouts", bytes([BARE]) + connect() + plan(UNENDING) + opened + headers(0, 1, True) + TURN * 8 + passing(S12) + TURN * 3 + plan(SILENT) + unary + TURN * 4 + passing(S12)
    yield "deadline", bytes([TALKATIVE]) + connect() + plan(SILENT) + headers(0, 1, True) + TURN * 8 + passing(MS500) + TURN * 3
    yield "silent_client", bytes([0]) + connect() + plan(UNENDING) + opened + TURN * 8 + passing(S400) + TURN * 3
    yield "looked_at", bytes([0]) + connect() + plan(UNENDING) + opened + TURN * 8 + world(8) + TURN
    yield "two_clients", bytes([0]) + connect() + world(0, 1) + world(0, RAW | 4) + unary + headers(1, 2, True) + peer(2, 0, 3, *b"abc") + TURN * 8 + answer(2, 9, 0, 1) + TURN * 8
    yield "idle_connection", bytes([BARE]) + connect() + unary + TURN * 8 + passing(S12) + TURN * 2 + passing(S400)


def main():
    folder = pathlib.Path(sys.argv[1])
    for name, script in scripts():
        (folder / name).write_bytes(script)


if __name__ == "__main__":
    main()
