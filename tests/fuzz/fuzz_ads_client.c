/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Discovery as a state machine: connections watch addresses and leave, the api sends resources that name each other (or nonsense),
 * removes them, ends streams, closes, is away; time passes. The input is a script of acts. Every answer must make sense at every moment,
 * and nothing is left at the end. Sockets and time are replaced as in proxy/world.h.
 */

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit/xds/messages.h"
#include "api/proto/xds.pb-c.h"
#include "base/log.h"
#include "base/mem.h"
#include "proxy/clock.h"
#include "session_pair.h"
#include "xds/directory.h"
#include "xds/discovery.h"
#include "xds/xds_type.h"

#define WATCHES 6
#define NAMES 4
#define ACTS_MAX 300
#define RAW_MAX 64

typedef Envoy__Service__Discovery__V3__DeltaDiscoveryResponse response_message;
typedef Envoy__Service__Discovery__V3__Resource resource_message;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len);

struct script {
    const uint8_t *at;
    const uint8_t *end;
};

static struct loop *loop;
static struct directory *directory;
static struct directory_watch watches[WATCHES];
static struct h2_session *server; /* of the latest connection; NULL once closed */
static struct grpc_call *call;    /* of the latest stream */
static bool is_away;

static const char *const listeners[NAMES] = {"10.96.0.1:80", "10.96.0.2:80", "10.96.0.3:80", "10.96.0.4:80"};
static const char *const others[NAMES] = {"a", "b", "c", ""};

static uint8_t next(struct script *s)
{
    return s->at < s->end ? *s->at++ : 0;
}

/* --- the api --- */

static void on_message(struct grpc_call *c, const uint8_t *bytes, size_t len)
{
    (void)c, (void)bytes, (void)len;
}

static void on_call_closed(struct grpc_call *c, enum grpc_status status, struct str message)
{
    (void)status, (void)message;
    call = call == c ? NULL : call;
}

static void on_request(struct h2_session *session, struct h2_stream *stream, struct h2_headers *headers, bool is_end)
{
    static const struct grpc_call_ops ops = {.on_message = on_message, .on_closed = on_call_closed};

    (void)session;
    call = grpc_call_accept(stream, headers, is_end, 1 << 20, &ops, NULL);
    assert(call != NULL);
}

static void on_closed(struct h2_session *session, enum close_reason reason)
{
    (void)reason;
    server = server == session ? NULL : server;
}

static const struct h2_session_ops server_ops = {.on_request = on_request, .on_closed = on_closed};

int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
    struct stream stream;
    int fds[2];

    (void)sa, (void)len;
    if (is_away || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0) {
        errno = ECONNREFUSED;
        return -1;
    }
    dup2(fds[0], fd);
    close(fds[0]);
    stream_init(&stream, loop, fds[1]);
    server = h2_session_new(H2_SERVER, &stream, &pair_options, &server_ops, NULL);
    return 0;
}

static const char *name_of(enum xds_type type, unsigned choice)
{
    return type == XDS_LISTENER ? listeners[choice % NAMES] : others[choice % NAMES];
}

static struct bytes make_resource(enum xds_type type, unsigned what)
{
    static const char *const addresses[] = {"10.0.0.1:80", "!10.0.0.2:80", "10.0.0.3:80", "10.0.0.1:80"};
    const char *names[] = {others[what % 3], others[(what >> 2) % NAMES]};
    const uint32_t weights[] = {what & 1, what >> 4};

    switch (type) {
    case XDS_LISTENER:
        return what % 3 == 0 ? http_listener(names[1]) : what % 3 == 1 ? inline_listener(names[1]) : tcp_listener(names[1]);
    case XDS_ROUTE:
        return (what & 0x80) != 0 ? route_to(names[1]) : weighted_route(names, weights, 2);
    case XDS_CLUSTER:
        return eds_cluster(names[1]);
    case XDS_ENDPOINTS:
    case XDS_TYPE_COUNT:
        break;
    }
    return endpoints_at(addresses + what % 2, (what >> 1) % 4);
}

static void send_response(response_message *m, enum xds_type type)
{
    size_t len;
    uint8_t *bytes;

    m->type_url = mem_strdup(xds_type_url(type));
    len = envoy__service__discovery__v3__delta_discovery_response__get_packed_size(m);
    bytes = mem_alloc(len + 1);
    envoy__service__discovery__v3__delta_discovery_response__pack(m, bytes);
    if (call != NULL) {
        grpc_call_send(call, bytes, len);
    }
    mem_free(bytes);
    mem_free(m->type_url);
}

/* One resource, and a name that is removed or stands for it, too. */
static void act_send(struct script *s)
{
    uint8_t choice = next(s);
    enum xds_type type = (enum xds_type)(choice % XDS_TYPE_COUNT);
    enum xds_type said = (choice & 0x80) != 0 ? (enum xds_type)((choice >> 2) % XDS_TYPE_COUNT) : type;
    struct bytes bytes = make_resource(type, next(s));
    uint8_t names = next(s);
    char *more[] = {mem_strdup(name_of(said, names >> 2))};
    char *version = mem_printf("%u", next(s));
    response_message m;
    resource_message entry;
    resource_message *list[] = {&entry};
    Google__Protobuf__Any any;

    envoy__service__discovery__v3__delta_discovery_response__init(&m);
    envoy__service__discovery__v3__resource__init(&entry);
    google__protobuf__any__init(&any);
    any.type_url = mem_strdup(xds_type_url(type));
    any.value = (ProtobufCBinaryData){.data = bytes.p, .len = bytes.len};
    entry.name = mem_strdup(name_of(said, names));
    entry.version = version;
    entry.resource = (names & 0x10) != 0 ? NULL : &any;
    entry.n_aliases = (names & 0x20) != 0;
    entry.aliases = more;
    m.n_resources = 1;
    m.resources = list;
    m.n_removed_resources = (names & 0x40) != 0;
    m.removed_resources = more;
    send_response(&m, said);
    mem_free(any.type_url);
    mem_free(entry.name);
    mem_free(version);
    mem_free(more[0]);
    mem_free(bytes.p);
}

static void act_remove(struct script *s)
{
    uint8_t choice = next(s);
    enum xds_type type = (enum xds_type)(choice % XDS_TYPE_COUNT);
    char *names[] = {mem_strdup(name_of(type, choice >> 2))};
    response_message m;

    envoy__service__discovery__v3__delta_discovery_response__init(&m);
    m.n_removed_resources = 1;
    m.removed_resources = names;
    send_response(&m, type);
    mem_free(names[0]);
}

static void act_raw(struct script *s)
{
    size_t len = next(s) % RAW_MAX;

    len = len > (size_t)(s->end - s->at) ? (size_t)(s->end - s->at) : len;
    if (call != NULL) {
        grpc_call_send(call, s->at, len);
    }
    s->at += len;
}

static void act_end(struct script *s)
{
    uint8_t how = next(s);

    if ((how & 3) == 0 && call != NULL) {
        grpc_call_finish(call, (enum grpc_status)(how >> 4), STR("enough"));
    } else if ((how & 3) == 1 && call != NULL) {
        grpc_call_cancel(&call);
    } else if ((how & 3) == 2 && server != NULL) {
        h2_session_close(server, how >> 4, CLOSE_DONE);
    } else if (server != NULL) {
        h2_session_drain(server, CLOSE_DRAINED);
    }
}

/* --- the workers' side --- */

static void on_change(struct directory_watch *w)
{
    assert(directory_answer(w) != NULL);
}

static void act_watch(struct script *s)
{
    uint8_t choice = next(s);
    struct directory_watch *w = &watches[choice % WATCHES];
    struct addr addr;
    bool is_good = addr_parse(str_from(listeners[choice / WATCHES % NAMES]), &addr);

    assert(is_good);
    directory_unwatch(w);
    directory_watch(directory, &addr, w, on_change);
}

static void expect_sense(void)
{
    for (unsigned i = 0; i < WATCHES; i++) {
        const struct snapshot *a = directory_answer(&watches[i]);

        if (a == NULL || a->kind != DESTINATION_HTTP) {
            assert(a == NULL || a->backend_count == 0);
            continue;
        }
        assert(route_select(a->routes, STR("any"), STR("/a/b"), loop_rng(loop)) < (int64_t)a->backend_count);
        for (size_t b = 0; b < a->backend_count; b++) {
            assert(a->backends[b].version > 0 && a->backends[b].name[0] != '\0' && a->backends[b].endpoint_count <= 3);
        }
    }
}

/* --- */

static void act(struct script *s)
{
    static const uint64_t times_ms[] = {1, 150, 1100, 11000, 61000};
    uint8_t choice = next(s);

    switch (choice % 8) {
    case 0:
        act_watch(s);
        break;
    case 1:
        directory_unwatch(&watches[next(s) % WATCHES]);
        break;
    case 2:
    case 3:
        act_send(s);
        break;
    case 4:
        act_remove(s);
        break;
    case 5:
        act_raw(s);
        break;
    case 6:
        act_end(s);
        break;
    default:
        is_away = (choice & 0x80) != 0;
        clock_advance(loop, usec_from_ms(times_ms[(choice >> 3) % ARRAY_LEN(times_ms)]), expect_sense);
        break;
    }
    for (unsigned i = 0; i < 1 + choice % 3u; i++) {
        loop_turn(loop, false);
        expect_sense();
    }
}

static void finish(struct discovery *discovery)
{
    for (unsigned i = 0; i < WATCHES; i++) {
        directory_unwatch(&watches[i]);
    }
    directory_free(directory);
    discovery_free(discovery);
    grpc_call_cancel(&call);
    clock_advance(loop, usec_from_s(5), NULL);
    loop_free(loop);
    for (unsigned kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
        assert(object_live((enum object_kind)kind) == 0);
    }
    assert(clock_timers() == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct discovery_options options = {
        .api_address = "127.0.0.1:15150", .node_id = "fuzz", .connect_timeout = {1000000}};
    struct script s = {data, data + size};
    struct discovery *discovery;
    struct text error;
    int r;

    text_init(&error, 100);
    r = log_set_levels(STR("error"), &error);
    assert(r == 0);
    clock_reset();
    loop = loop_new(1);
    is_away = false;
    memset(watches, 0, sizeof watches);
    discovery = discovery_new(loop, &options);
    directory = directory_new(loop, discovery, usec_from_s(2));
    discovery_start(discovery);
    for (unsigned i = 0; i < 2; i++) {
        clock_advance(loop, usec_from_ms(1), NULL);
    }
    for (unsigned i = 0; i < ACTS_MAX && s.at < s.end; i++) {
        act(&s);
    }
    finish(discovery);
    return 0;
}
