/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One session of ours against one raw peer: what most wire tests are made of. */

#include <nghttp2/nghttp2.h>

#include "fixture.h"
#include "rawframes.h"

static struct raw peer;
static struct raw_block out;

/* Our server, the peer a raw client that has sent preface and SETTINGS. */
static inline void serve_raw(void)
{
    int fds[2];

    socket_pair(fds);
    end_start(&server, H2_SERVER, fds[0], NULL, 0);
    peer.fd = fds[1];
    raw_send(&peer, RAW_PREFACE, RAW_PREFACE_LEN);
    raw_settings(&peer, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 65535);
    settle();
    raw_frame(&peer, RAW_SETTINGS, RAW_ACK, 0, NULL, 0);
    settle();
}

/* Our client, the peer a raw server that has sent SETTINGS. */
static inline void call_raw(void)
{
    int fds[2];

    socket_pair(fds);
    end_start(&client, H2_CLIENT, fds[0], NULL, 0);
    peer.fd = fds[1];
    peer.is_server = true;
    raw_settings(&peer, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 50);
    settle();
}
