/* SPDX-License-Identifier: Apache-2.0 */

#include "exchange_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/object.h"
#include "net/loop.h"
#include "xds/discovery.h"

#define SERVICE "default/greeter:50051"

struct worker *worker;
struct flow_options flow_options;
struct place place[PLACES_MAX];
struct connection *connection;

static struct loop *control;
static struct discovery *discovery;
static struct metrics *metrics;
static struct load_registry *loads;
static struct snapshot snapshot;
static struct snapshot_backend backend;
static struct snapshot_endpoint endpoints[PLACES_MAX];

static void open_place(struct place *p)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;

    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(p->listener, (struct sockaddr *)&sa, sizeof sa), 0);
    ck_assert_int_eq(listen(p->listener, 100), 0);
    ck_assert_int_eq(getsockname(p->listener, (struct sockaddr *)&sa, &len), 0);
    ck_assert(addr_from_sockaddr((struct sockaddr *)&sa, &p->addr));
}

void exchange_setup(void)
{
    static const struct discovery_options no_api = {.api_address = "", .node_id = ""};

    options = (struct h2_options){
        .max_concurrent_streams = 100,
        .stream_window_bytes = 65535,
        .connection_window_bytes = 1 << 20,
        .max_header_list_bytes = 64 * 1024,
        .out_buffer_bytes = 32 * 1024,
    };
    flow_options = (struct flow_options){
        .discovery_retention = usec_from_s(60),
        .retry_attempts = 3,
        .retry_buffer_bytes = 4096,
        .retry_process_bytes = 1 << 20,
        .server = options,
        .app = options,
        .pool =
            {.h2 = options, .connect_timeout = usec_from_s(10), .max_requests = 1000, .max_connections = 4, .max_waiting = 10},
    };
    memset(place, 0, sizeof place);
    for (size_t i = 0; i < PLACES_MAX; i++) {
        open_place(&place[i]);
    }
    metrics = metrics_new("t_", flow_families, FLOW_FAMILY_COUNT, 1);
    loads = load_registry_new();
    control = loop_new(1);
    discovery = discovery_new(control, &no_api);
    worker = worker_new(0, &flow_options, metrics_shard(metrics, 0), discovery, loads, 1);
    loop = worker->loop;
    client = (struct end){0};
    server = (struct end){0};
}

static void abandon(struct end *e)
{
    if (e->session != NULL) {
        h2_session_abandon(e->session, H2_NO_ERROR, CLOSE_SHUTDOWN);
        e->session = NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(e->heard); i++) {
        heard_clear(&e->heard[i]);
    }
}

static void close_place(struct place *p)
{
    for (unsigned i = 0; i < p->count; i++) {
        abandon(&p->connections[i]);
    }
    if (p->listener >= 0) {
        close(p->listener);
    }
}

void exchange_teardown(void)
{
    abandon(&client);
    settle_flow();
    list_for_each(node, &worker->connections) {
        connection_close(list_entry(node, struct connection, node), CLOSE_DONE, false);
    }
    settle();
    ck_assert_int_eq(object_live(OBJECT_EXCHANGE), 0);
    ck_assert_int_eq(object_live(OBJECT_CONNECTION), 0);
    for (size_t i = 0; i < PLACES_MAX; i++) {
        close_place(&place[i]);
    }
    settle();
    worker_free(worker);
    route_table_free(snapshot.routes);
    snapshot.routes = NULL;
    discovery_free(discovery);
    loop_free(control);
    load_registry_free(loads);
    metrics_free(metrics);
    ck_assert_int_eq(object_live(OBJECT_H2_STREAM), 0);
    ck_assert_int_eq(object_live(OBJECT_H2_SESSION), 0);
    ck_assert_int_eq(object_live(OBJECT_ENDPOINT), 0);
}

/* --- beginnings --- */

/* As connection_accept leaves it when detection is over. */
static void new_connection(enum direction d)
{
    int fds[2];

    socket_pair(fds);
    end_start(&client, H2_CLIENT, fds[0], NULL, 0);
    connection = slab_alloc(worker->slab, sizeof *connection);
    object_created(OBJECT_CONNECTION);
    connection->worker = worker;
    connection->direction = d;
    connection->state = CONNECTION_ASKING;
    stream_init(&connection->client, loop, fds[1]);
    timer_init(&connection->timer, loop, NULL);
    list_push_back(&worker->connections, &connection->node);
    worker->connection_count++;
    ck_assert(addr_parse(STR("10.96.0.10:50051"), &connection->original));
    ck_assert(addr_parse(STR("10.0.0.9:1234"), &connection->peer));
}

/* Only requests for "a" have a route. */
static struct route_table *routes_to_first(void)
{
    struct route_builder *b = route_builder_new();

    ck_assert_int_eq(route_builder_host(b), 0);
    ck_assert_int_eq(route_builder_domain(b, STR("a")), 0);
    ck_assert_int_eq(route_builder_route(b, ROUTE_PREFIX, STR("")), 0);
    ck_assert_int_eq(route_builder_backend(b, 0, 1), 0);
    return route_builder_finish(b);
}

void start_outbound(unsigned places)
{
    for (unsigned i = 0; i < places; i++) {
        endpoints[i] = (struct snapshot_endpoint){.addr = place[i].addr, .uid = "", .name = "", .weight = 1};
    }
    backend = (struct snapshot_backend){.name = SERVICE, .version = 1, .endpoints = endpoints, .endpoint_count = places};
    snapshot = (struct snapshot){
        .kind = DESTINATION_HTTP, .name = "greeter", .routes = routes_to_first(), .backends = &backend, .backend_count = 1};
    atomic_init(&snapshot.refs, 1); /* the test's own, never given back */
    new_connection(OUTBOUND);
    outbound_http_start(connection, &snapshot);
    settle_flow();
}

void start_inbound(void)
{
    int fds[2];

    new_connection(INBOUND);
    socket_pair(fds);
    stream_init(&connection->server, loop, fds[0]);
    end_start(&place[0].connections[0], H2_SERVER, fds[1], NULL, 0);
    place[0].count = 1;
    inbound_http_start(connection);
    settle_flow();
}

/* --- the endpoints --- */

static void accept_all(void)
{
    for (size_t i = 0; i < PLACES_MAX; i++) {
        struct place *p = &place[i];
        int fd;

        while (p->listener >= 0 && (fd = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
            int one = 1;

            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* or its second answer waits for an ACK */
            ck_assert_uint_lt(p->count, CONNECTIONS_MAX);
            end_start(&p->connections[p->count++], H2_SERVER, fd, NULL, 0);
        }
    }
}

void settle_flow(void)
{
    for (int i = 0; i < 10; i++) {
        settle();
        accept_all();
    }
}

static struct heard *find_request(struct place **ret_place, bool do_take)
{
    for (size_t i = 0; i < PLACES_MAX; i++) {
        for (unsigned c = 0; c < place[i].count; c++) {
            struct end *e = &place[i].connections[c];

            if (place[i].taken[c] < e->requests) {
                *ret_place = &place[i];
                place[i].taken[c] += do_take;
                return &e->heard[place[i].taken[c] - do_take];
            }
        }
    }
    return NULL;
}

bool has_next_request(void)
{
    struct place *at;

    return find_request(&at, false) != NULL;
}

struct heard *next_request(struct place **ret_place)
{
    struct heard *found;

    settle_flow();
    found = find_request(ret_place, true);
    ck_assert_msg(found != NULL, "no request came");
    return found;
}

/* --- requests and answers --- */

struct h2_headers *grpc_block(const char *name, ...)
{
    struct h2_headers *headers = request_block();
    va_list fields;

    h2_headers_add(headers, STR("content-type"), STR("application/grpc"));
    va_start(fields, name);
    while (name != NULL) {
        h2_headers_add(headers, str_from(name), str_from(va_arg(fields, const char *)));
        name = va_arg(fields, const char *);
    }
    va_end(fields);
    return headers;
}

void ask(struct heard *heard, const char *body)
{
    request_with(heard, grpc_block(NULL), false);
    h2_stream_send_data(heard->stream, (const uint8_t *)body, strlen(body));
    h2_stream_send_end(heard->stream);
    settle_flow();
}

void answer(struct heard *request, const char *body)
{
    h2_stream_send_headers(request->stream, H2_RESPONSE, response_block(), false);
    h2_stream_send_data(request->stream, (const uint8_t *)body, strlen(body));
    h2_stream_send_headers(request->stream, H2_TRAILERS, block("grpc-status", "0", NULL), true);
    settle_flow();
}

static uint64_t value_and_put(struct metric *m)
{
    uint64_t value = metric_value(m);

    metric_put(&m);
    return value;
}

uint64_t failures(enum close_reason reason)
{
    const char *labels[] = {"outbound", SERVICE, close_reason_label(reason)};

    return value_and_put(metric_get(worker->metrics.shard, METRIC_FAILURES, labels));
}

uint64_t retries(enum close_reason reason)
{
    const char *labels[] = {SERVICE, close_reason_label(reason)};

    return value_and_put(metric_get(worker->metrics.shard, METRIC_RETRIES, labels));
}
