/* SPDX-License-Identifier: Apache-2.0 */

#include "fake_ads.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/proto/xds.pb-c.h"
#include "base/mem.h"
#include "net/listener.h"
#include "net/stream.h"

typedef Envoy__Service__Discovery__V3__DeltaDiscoveryRequest request_message;

static const struct h2_options h2_options = {
    .max_concurrent_streams = 10,
    .stream_window_bytes = 1024 * 1024,
    .connection_window_bytes = 1024 * 1024,
    .max_header_list_bytes = 16 * 1024,
    .out_buffer_bytes = 64 * 1024,
};

/* --- requests as lines --- */

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_names(struct text *line, char sign, char **names, size_t count)
{
    if (count > 0) {
        qsort(names, count, sizeof *names, compare_text);
    }
    for (size_t i = 0; i < count; i++) {
        text_printf(line, "%s%c%s", i == 0 ? " " : "", i == 0 ? sign : ',', names[i]);
    }
}

static int compare_versions(const void *a, const void *b)
{
    typedef Envoy__Service__Discovery__V3__DeltaDiscoveryRequest__InitialResourceVersionsEntry entry;

    return strcmp((*(entry *const *)a)->key, (*(entry *const *)b)->key);
}

static void add_versions(struct text *line, const request_message *m)
{
    if (m->n_initial_resource_versions > 0) {
        qsort(m->initial_resource_versions, m->n_initial_resource_versions, sizeof(void *), compare_versions);
    }
    for (size_t i = 0; i < m->n_initial_resource_versions; i++) {
        text_printf(line, "%s%s@%s", i == 0 ? " held " : ",", m->initial_resource_versions[i]->key,
                    m->initial_resource_versions[i]->value);
    }
}

static void on_message(struct grpc_call *c, const uint8_t *bytes, size_t len)
{
    struct fake_ads *f = grpc_call_ctx(c);
    request_message *m = envoy__service__discovery__v3__delta_discovery_request__unpack(NULL, len, bytes);
    enum xds_type type = XDS_LISTENER;
    struct text line;

    ck_assert_ptr_nonnull(m);
    ck_assert(xds_type_from_url(str_from(m->type_url), &type));
    text_init(&line, 4096);
    text_printf(&line, "%s%s", xds_type_label(type), m->node != NULL ? " node" : "");
    add_names(&line, '+', m->resource_names_subscribe, m->n_resource_names_subscribe);
    add_names(&line, '-', m->resource_names_unsubscribe, m->n_resource_names_unsubscribe);
    add_versions(&line, m);
    if (m->response_nonce[0] != '\0') {
        text_printf(&line, " %s %s", m->error_detail != NULL ? "nack" : "ack", m->response_nonce);
    }
    if (m->error_detail != NULL) {
        snprintf(f->refusal, sizeof f->refusal, "%s", m->error_detail->message);
    }
    ck_assert_uint_lt(f->line_count, FAKE_LINES_MAX);
    f->lines[f->line_count++] = text_steal(&line);
    text_deinit(&line);
    envoy__service__discovery__v3__delta_discovery_request__free_unpacked(m, NULL);
}

/* --- streams and connections --- */

static void on_call_closed(struct grpc_call *c, enum grpc_status status, struct str message)
{
    struct fake_ads *f = grpc_call_ctx(c);

    (void)status;
    (void)message;
    if (f->call == c) {
        f->call = NULL;
    }
}

static const struct grpc_call_ops call_ops = {.on_message = on_message, .on_closed = on_call_closed};

static void on_request(struct h2_session *s, struct h2_stream *stream, struct h2_headers *headers, bool is_end)
{
    struct fake_ads *f = h2_session_ctx(s);

    ck_assert(str_eq(h2_headers_value(headers, STR(":path")),
                     STR("/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources")));
    f->streams++;
    if (f->refuses_streams) {
        h2_headers_free(&headers);
        grpc_refuse(stream, GRPC_UNAVAILABLE, STR("not today"));
        return;
    }
    f->call = grpc_call_accept(stream, headers, is_end, 1024 * 1024, &call_ops, f);
    ck_assert_ptr_nonnull(f->call);
}

static void on_session_closed(struct h2_session *s, enum close_reason reason)
{
    struct fake_ads *f = h2_session_ctx(s);

    (void)reason;
    if (f->session == s) {
        f->session = NULL;
    }
}

static const struct h2_session_ops session_ops = {.on_request = on_request, .on_closed = on_session_closed};

static void on_accept(void *ctx, int fd, const struct addr *peer)
{
    struct fake_ads *f = ctx;
    struct stream stream;

    (void)peer;
    stream_init(&stream, f->loop, fd);
    if (f->session != NULL) {
        grpc_call_cancel(&f->call);
        h2_session_abandon(f->session, H2_NO_ERROR, CLOSE_DONE);
    }
    f->session = h2_session_new(H2_SERVER, &stream, &h2_options, &session_ops, f);
}

void fake_ads_open(struct fake_ads *f, struct loop *l)
{
    struct addr any_port;
    struct addr addr;

    ck_assert(addr_parse(STR("127.0.0.1:0"), &any_port));
    *f = (struct fake_ads){.loop = l};
    ck_assert_int_eq(listener_open(l, &any_port, on_accept, f, &f->listener), 0);
    addr = listener_addr(f->listener);
    addr_format(&addr, f->address);
}

void fake_ads_forget_lines(struct fake_ads *f)
{
    for (unsigned i = 0; i < f->line_count; i++) {
        mem_free(f->lines[i]);
    }
    f->line_count = 0;
    f->line_next = 0;
}

void fake_ads_close(struct fake_ads *f)
{
    listener_close(&f->listener);
    grpc_call_cancel(&f->call);
    if (f->session != NULL) {
        h2_session_abandon(f->session, H2_NO_ERROR, CLOSE_DONE);
    }
    fake_ads_forget_lines(f);
}

/* --- orders --- */

const char *fake_ads_next(struct fake_ads *f)
{
    while (f->line_next == f->line_count) {
        loop_turn(f->loop, true);
    }
    return f->lines[f->line_next++];
}

const char *fake_ads_next_question(struct fake_ads *f)
{
    const char *line;

    do {
        line = fake_ads_next(f);
    } while (strstr(line, " ack ") != NULL);
    return line;
}

static void send_response(struct fake_ads *f, enum xds_type type, Envoy__Service__Discovery__V3__DeltaDiscoveryResponse *m)
{
    char nonce[16];
    uint8_t *bytes;
    size_t len;

    snprintf(nonce, sizeof nonce, "%u", ++f->nonce);
    m->nonce = nonce;
    m->type_url = mem_strdup(xds_type_url(type));
    len = envoy__service__discovery__v3__delta_discovery_response__get_packed_size(m);
    bytes = mem_alloc(len + 1);
    envoy__service__discovery__v3__delta_discovery_response__pack(m, bytes);
    grpc_call_send(f->call, bytes, len);
    mem_free(bytes);
    mem_free(m->type_url);
}

static void send_resource(struct fake_ads *f, enum xds_type type, enum xds_type said, const char *name, const char *version,
                          struct bytes resource)
{
    Envoy__Service__Discovery__V3__DeltaDiscoveryResponse m;
    Envoy__Service__Discovery__V3__Resource entry;
    Envoy__Service__Discovery__V3__Resource *list[] = {&entry};
    Google__Protobuf__Any any;

    envoy__service__discovery__v3__delta_discovery_response__init(&m);
    envoy__service__discovery__v3__resource__init(&entry);
    google__protobuf__any__init(&any);
    any.type_url = mem_strdup(xds_type_url(said));
    any.value = (ProtobufCBinaryData){.data = resource.p, .len = resource.len};
    entry.name = mem_strdup(name);
    entry.version = mem_strdup(version);
    entry.resource = &any;
    m.n_resources = 1;
    m.resources = list;
    send_response(f, type, &m);
    mem_free(any.type_url);
    mem_free(entry.name);
    mem_free(entry.version);
    mem_free(resource.p);
}

void fake_ads_send(struct fake_ads *f, enum xds_type type, const char *name, const char *version, struct bytes resource)
{
    send_resource(f, type, type, name, version, resource);
}

void fake_ads_send_as(struct fake_ads *f, enum xds_type type, enum xds_type said, const char *name, struct bytes resource)
{
    send_resource(f, type, said, name, "1", resource);
}

void fake_ads_send_message(struct fake_ads *f, const void *bytes, size_t len)
{
    grpc_call_send(f->call, bytes, len);
}

void fake_ads_remove(struct fake_ads *f, enum xds_type type, const char *name)
{
    Envoy__Service__Discovery__V3__DeltaDiscoveryResponse m;
    char *list[] = {mem_strdup(name)};

    envoy__service__discovery__v3__delta_discovery_response__init(&m);
    m.n_removed_resources = 1;
    m.removed_resources = list;
    send_response(f, type, &m);
    mem_free(list[0]);
}

void fake_ads_end_stream(struct fake_ads *f)
{
    grpc_call_finish(f->call, GRPC_OK, STR("enough"));
}

void fake_ads_lead(struct fake_ads *f, const char *name, const char *cluster, const char *const *addresses, size_t count)
{
    char expected[128];

    snprintf(expected, sizeof expected, "+%s", name);
    ck_assert_ptr_nonnull(strstr(fake_ads_next_question(f), expected));
    fake_ads_send(f, XDS_LISTENER, name, "1", http_listener(name));
    ck_assert_ptr_nonnull(strstr(fake_ads_next_question(f), expected));
    fake_ads_send(f, XDS_ROUTE, name, "1", route_to(cluster));
    snprintf(expected, sizeof expected, "+%s", cluster);
    ck_assert_ptr_nonnull(strstr(fake_ads_next_question(f), expected));
    fake_ads_send(f, XDS_CLUSTER, cluster, "1", eds_cluster(cluster));
    ck_assert_ptr_nonnull(strstr(fake_ads_next_question(f), expected));
    fake_ads_send(f, XDS_ENDPOINTS, cluster, "1", endpoints_at(addresses, count));
}
