/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The whole data path as a state machine. The input is a script: a byte of options, then acts, each an opcode and its arguments. Whatever
 * clients, endpoints, discovery and time do: no crash, what the proxy says is HTTP/2 (peer.h), every request is counted in and out, all
 * credit comes back, and once everybody has left nothing remains (world.h).
 */

#include <assert.h>

#include "flow/connection.h"
#include "flow/http_side.h"
#include "h2/session_internal.h"
#include "headers.h"
#include "world.h"

#define ACTS_MAX 300
#define RAW_MAX 48

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct script {
    const uint8_t *at;
    const uint8_t *end;
};

static uint8_t next(struct script *s)
{
    return s->at < s->end ? *s->at++ : 0;
}

static uint32_t next_number(struct script *s)
{
    static const uint32_t edges[] = {0, 1, 2, 100, 16384, 65535, 65536, INT32_MAX, (uint32_t)INT32_MAX + 1, UINT32_MAX};
    uint8_t b = next(s);

    return b < 0x80 ? b : edges[b % ARRAY_LEN(edges)];
}

/* --- acts of peers --- */

static void act_raw(struct script *s, struct peer *p)
{
    size_t len = next(s) % RAW_MAX;

    len = len > (size_t)(s->end - s->at) ? (size_t)(s->end - s->at) : len;
    p->is_wild = true;
    peer_send(p, s->at, len);
    s->at += len;
}

static void act_headers(struct script *s, struct peer *p)
{
    uint8_t choice = next(s);
    uint8_t set = next(s);
    uint8_t flags = next(s) & (END_STREAM | END_HEADERS);
    bool is_new = !p->is_endpoint && (choice & 1) == 0;

    peer_headers(p, is_new ? 0 : peer_stream(p, choice >> 1), set, flags ^ END_HEADERS);
}

static void act_data(struct script *s, struct peer *p)
{
    uint32_t stream = peer_stream(p, next(s));
    uint8_t size = next(s);
    uint8_t flags = next(s) & (END_STREAM | PADDED);

    peer_data(p, stream, size < 0xc0 ? size : size < 0xf0 ? (size & 0x3fu) * 256 : 16384, flags, next(s));
}

/* A client's burst of requests with bodies that fill windows. */
static void act_burst(struct script *s, struct peer *p)
{
    unsigned count = next(s) % 24;
    uint8_t what = next(s);

    for (unsigned i = 0; i < count; i++) {
        uint32_t stream = peer_stream(p, i);

        if ((what & 1) != 0 && !p->is_endpoint) {
            peer_headers(p, 0, HEADERS_GRPC, (what & 2) != 0 ? END_HEADERS | END_STREAM : END_HEADERS);
            stream = p->next_id - 2;
        }
        if ((what & 4) != 0) {
            peer_data(p, stream, 4096, (what & 8) != 0 ? END_STREAM : 0, 0);
        }
        if ((what & 16) != 0) {
            peer_number_frame(p, RST_STREAM, stream, 8);
        }
    }
}

static void act_settings(struct script *s, struct peer *p)
{
    uint16_t id = next(s) % 10;
    uint32_t value = next_number(s);
    uint8_t entry[6] = {(uint8_t)(id >> 8),     (uint8_t)id,           (uint8_t)(value >> 24),
                        (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};

    p->is_wild = p->is_wild || id == 5; /* it may allow larger frames */
    peer_frame(p, SETTINGS, 0, 0, entry, sizeof entry);
}

static void act_goaway(struct script *s, struct peer *p)
{
    uint32_t last = next_number(s);
    uint8_t payload[8] = {(uint8_t)(last >> 24), (uint8_t)(last >> 16), (uint8_t)(last >> 8), (uint8_t)last, 0, 0, 0, next(s)};

    peer_frame(p, GOAWAY, 0, 0, payload, sizeof payload);
}

/* Any frame with any head, its payload from the script. */
static void act_frame(struct script *s, struct peer *p)
{
    uint8_t type = next(s) % 12;
    uint8_t flags = next(s);
    uint32_t stream = next_number(s);
    size_t len = next(s) % RAW_MAX;

    len = len > (size_t)(s->end - s->at) ? (size_t)(s->end - s->at) : len;
    p->is_wild = true;
    peer_frame(p, type, flags, stream, s->at, len);
    s->at += len;
}

static void act_of_peer(struct script *s, uint8_t act, struct peer *p)
{
    uint32_t stream;

    switch (act) {
    case 0:
        act_raw(s, p);
        break;
    case 1:
    case 2:
        act_headers(s, p);
        break;
    case 3:
        act_data(s, p);
        break;
    case 4:
        act_burst(s, p);
        break;
    case 5:
        act_settings(s, p);
        break;
    case 6:
        stream = (next(s) & 3) == 0 ? 0 : peer_stream(p, next(s));
        peer_number_frame(p, WINDOW_UPDATE, stream, next_number(s));
        break;
    case 7:
        stream = peer_stream(p, next(s));
        peer_number_frame(p, RST_STREAM, stream, next(s) % 16);
        break;
    case 8:
        act_goaway(s, p);
        break;
    case 9:
        peer_frame(p, PING, next(s) & ACK, 0, "pingpong", 8);
        break;
    case 10:
        act_frame(s, p);
        break;
    case 11:
        peer_finish(p);
        break;
    case 12:
        world_close_peer(p, (next(s) & 1) != 0);
        break;
    case 13:
        p->is_reading = !p->is_reading;
        break;
    default:
        peer_greet(p);
        break;
    }
}

/* --- acts of the world --- */

static void act_connect(struct script *s)
{
    uint8_t how = next(s);
    struct peer *p = world_connect((how & 0x10) != 0 ? INBOUND : OUTBOUND, how % (WORLD_SERVICES + WORLD_ENDPOINTS));

    if (p != NULL && (how & 0x20) == 0) {
        peer_greet(p);
    }
}

static void act_pass(struct script *s)
{
    static const uint64_t times_ms[] = {1, 5, 50, 500, 1000, 3000, 12000, 400000};

    world_pass(usec_from_ms(times_ms[next(s) % ARRAY_LEN(times_ms)]));
}

static void act_answer(struct script *s)
{
    uint8_t what = next(s);
    unsigned kind = (what >> 1) % 6;
    struct answer a = {.is_known = true, .kind = kind < DESTINATION_HTTP ? (enum destination_kind)kind : DESTINATION_HTTP};

    a.endpoints = next(s);
    a.draining = next(s);
    world_answer(what & 1, &a);
}

static void act_endpoint(struct script *s)
{
    uint8_t which = next(s);
    uint8_t plan = next(s);

    world.plan[which % WORLD_ENDPOINTS] = (enum plan)(plan % PLAN_COUNT);
    world.dialling[which % WORLD_ENDPOINTS] = (which & 0x80) != 0 ? (enum dialling)(which >> 4 & 3) : DIAL_ACCEPT;
    for (unsigned i = 0; (which & 0x40) != 0 && i < WORLD_PEERS; i++) { /* those that are connected, too */
        if (world.peers[i].is_endpoint) {
            world.peers[i].plan = (enum plan)(plan % PLAN_COUNT);
        }
    }
}

static void act_of_world(struct script *s, uint8_t act)
{
    switch (act) {
    case 0:
    case 1:
        act_connect(s);
        break;
    case 2:
        act_pass(s);
        break;
    case 3:
        act_answer(s);
        break;
    case 4:
        act_endpoint(s);
        break;
    case 5:
        world.recv_max = next(s) % 64;
        break;
    case 6:
        world.send_max = next(s);
        break;
    case 7:
        worker_drain(world.worker);
        break;
    case 8:
        world_look();
        break;
    default:
        break; /* a turn of nothing */
    }
}

/* --- the judgement --- */

/* What a session without streams has received is credited, except what waits to be worth a WINDOW_UPDATE: half the window. */
static void expect_credit(const struct h2_session *s)
{
    if (s != NULL && h2_session_is_live(s) && s->stream_count == 0) {
        assert(nghttp2_session_get_effective_recv_data_length(s->ng) <=
               nghttp2_session_get_effective_local_window_size(s->ng) / 2);
    }
}

static void expect_credits(void)
{
    list_for_each(node, &world.worker->connections) {
        const struct connection *c = list_entry(node, struct connection, node);

        if (c->http != NULL) {
            expect_credit(c->http->session);
            expect_credit(c->http->app);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct script s = {data, data + size};
    uint8_t choice = next(&s);

    world_begin((choice & 1) != 0, (choice & 8) != 0);
    if ((choice & 2) == 0) {
        world_answer(0, &(struct answer){.is_known = true, .kind = DESTINATION_HTTP, .endpoints = 0xf});
    }
    for (unsigned i = 0; i < ACTS_MAX && s.at < s.end; i++) {
        uint8_t act = next(&s);
        struct peer *p = world_peer(act >> 4);

        if ((act & 0xf) < 15 && p != NULL) {
            act_of_peer(&s, act & 0xf, p);
        } else {
            act_of_world(&s, p != NULL ? act >> 4 : act & 0xf);
        }
        world_turn();
    }
    expect_credits();
    if ((choice & 4) == 0) {
        world_quiesce();
    }
    world_end();
    return 0;
}
