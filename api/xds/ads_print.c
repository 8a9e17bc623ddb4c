/* SPDX-License-Identifier: Apache-2.0 */

#include "api/xds/ads_stream.h"

/* "3.2 s ago"; "never" for 0. */
static void print_age(struct text *out, struct usec now, struct usec then)
{
    if (then.v == 0) {
        text_printf(out, "never");
    } else {
        text_printf(out, "%.1f s ago", usec_seconds(usec_since(now, then)));
    }
}

struct printing {
    struct text *out;
};

static void print_name(struct hash_node *node, void *ctx)
{
    struct printing *p = ctx;
    const struct interest *i = container_of(node, struct interest, by_name);

    text_printf(p->out, "      ");
    text_append_utf8(p->out, i->base.topic->name);
    switch (i->told) {
    case TOLD_NOTHING:
        text_printf(p->out, "  not told yet\n");
        break;
    case TOLD_VERSION:
        text_printf(p->out, "  version %s\n", i->version);
        break;
    case TOLD_ABSENT:
        text_printf(p->out, "  does not exist\n");
        break;
    }
}

static void print_type(struct ads_stream *s, enum resource_type type, bool with_names, struct text *out)
{
    struct usec now = loop_now(s->hub->loop);
    const struct ads_answers *a = &s->answers[type];
    struct hash_table by_name = s->protocol->names(s)->type[type].by_name; /* a view: hash_for_each takes no const */
    struct printing p = {out};

    if (by_name.count == 0 && a->sent.v == 0) {
        return;
    }
    text_printf(out, "    %-9s  names: %zu  sent: %s ", resource_type_label(type), by_name.count, a->nonce);
    print_age(out, now, a->sent);
    text_printf(out, "  acknowledged: %s ", a->acknowledged);
    print_age(out, now, a->acknowledged_at);
    if (a->refusal != NULL) {
        text_printf(out, "  refused ");
        print_age(out, now, a->refused_at);
        text_printf(out, ": ");
        text_append_utf8(out, str_from(a->refusal));
    }
    text_printf(out, "\n");
    if (with_names) {
        hash_for_each(&by_name, print_name, &p);
    }
}

static void print_stream(struct ads_stream *s, bool with_names, struct text *out)
{
    text_append_utf8(out, str_from(ads_stream_id(s)));
    text_printf(out, "  from: %s  protocol: %s  namespace: ", s->peer, s->protocol->label);
    text_append_utf8(out, str_from(s->node.namespace));
    text_printf(out, "  node: ");
    text_append_utf8(out, str_from(s->node.name));
    text_printf(out, "  connected: ");
    print_age(out, loop_now(s->hub->loop), s->started);
    text_printf(out, "  unread bytes: %zu\n", grpc_call_pending(s->call));
    for (unsigned i = 0; i < RESOURCE_TYPE_COUNT; i++) {
        print_type(s, (enum resource_type)i, with_names, out);
    }
}

void ads_hub_print(struct ads_hub *h, struct str client, struct text *out)
{
    text_printf(out, "%zu streams\n", (size_t)h->stream_count);
    list_for_each(node, &h->streams) {
        struct ads_stream *s = list_entry(node, struct ads_stream, in_hub);
        bool is_wanted = str_eq(client, str_from(ads_stream_id(s))) || str_eq(client, str_from(s->peer));

        if (client.len == 0 || is_wanted) {
            print_stream(s, is_wanted, out);
        }
    }
}
