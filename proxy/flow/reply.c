/* SPDX-License-Identifier: Apache-2.0 */

#include "flow/reply.h"

#include <stdio.h>

#include "h2/grpc_call.h"

#define MESSAGE_MAX 512

bool reply_is_grpc(const struct h2_headers *request)
{
    struct str type = h2_headers_value(request, STR("content-type"));
    struct str grpc = STR("application/grpc");

    if (!str_starts_with(type, grpc)) {
        return false;
    }
    /* "application/grpc-web" is another protocol: it has its trailers in the body. */
    return type.len == grpc.len || type.p[grpc.len] == '+' || type.p[grpc.len] == ';';
}

unsigned reply_http_status(enum close_reason reason)
{
    if (reason == CLOSE_NO_ROUTE) {
        return 404;
    }
    if (reason == CLOSE_NO_EXTENDED_CONNECT) {
        return 501; /* RFC 9220 §3: what an unknown :protocol gets */
    }
    if (reason == CLOSE_CONNECT_TIMEOUT || reason == CLOSE_PEER_TIMEOUT ||
        close_reason_grpc_status(reason) == GRPC_DEADLINE_EXCEEDED) {
        return 504;
    }
    if (reason == CLOSE_NO_ENDPOINT || reason == CLOSE_QUEUE_FULL || reason == CLOSE_SHUTDOWN) {
        return 503;
    }
    return 502;
}

static void describe(const struct reply *reply, struct text *out)
{
    text_printf(out, "outrigger: %s", close_reason_text(reply->reason));
    if (reply->service[0] != '\0') {
        text_printf(out, ", service %s", reply->service);
    }
    if (reply->endpoint[0] != '\0') {
        text_printf(out, ", endpoint %s", reply->endpoint);
    }
    text_printf(out, "%s", reply->was_sent ? ", request was sent" : ", request was not sent");
}

static void add_status(struct h2_headers *headers, const struct reply *reply)
{
    int status = close_reason_grpc_status(reply->reason);
    struct text message;
    struct text encoded;
    char number[12];

    text_init(&message, MESSAGE_MAX);
    text_init(&encoded, 3 * MESSAGE_MAX);
    describe(reply, &message);
    grpc_encode_message((struct str){message.p, message.len}, &encoded);
    snprintf(number, sizeof number, "%d", status >= 0 ? status : GRPC_UNAVAILABLE);
    h2_headers_add(headers, STR("grpc-status"), str_from(number));
    h2_headers_add(headers, STR("grpc-message"), (struct str){encoded.p, encoded.len});
    text_deinit(&encoded);
    text_deinit(&message);
}

void reply_instead(struct h2_stream *to, bool is_grpc, const struct reply *reply)
{
    struct h2_headers *headers = h2_headers_new(loop_slab(h2_session_loop(to->session)));
    struct text body;
    char number[12];

    if (is_grpc) {
        h2_headers_add_literal(headers, STR(":status"), STR("200"));
        h2_headers_add_literal(headers, STR("content-type"), STR("application/grpc"));
        add_status(headers, reply);
        h2_stream_send_headers(to, H2_RESPONSE, headers, true);
        return;
    }
    text_init(&body, MESSAGE_MAX);
    describe(reply, &body);
    text_append(&body, "\n", 1);
    snprintf(number, sizeof number, "%u", reply_http_status(reply->reason));
    h2_headers_add(headers, STR(":status"), str_from(number));
    h2_headers_add_literal(headers, STR("content-type"), STR("text/plain; charset=utf-8"));
    h2_stream_send_headers(to, H2_RESPONSE, headers, false);
    h2_stream_send_data(to, (const uint8_t *)body.p, body.len);
    h2_stream_send_end(to);
    text_deinit(&body);
}

void reply_broken_off(struct h2_stream *to, bool is_grpc, const struct reply *reply)
{
    struct h2_headers *trailers;

    if (!is_grpc) {
        h2_stream_reset(to, H2_INTERNAL_ERROR);
        return;
    }
    trailers = h2_headers_new(loop_slab(h2_session_loop(to->session)));
    add_status(trailers, reply);
    h2_stream_send_headers(to, H2_TRAILERS, trailers, true);
}
