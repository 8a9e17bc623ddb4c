/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Header blocks that peers send, good and bad: "name: value" lines. In a value, '*' stands for LONG_VALUE bytes. */

#define LONG_VALUE 3000

/* clang-format off */
#define GRPC_REQUEST ":method: POST\n:scheme: http\n:path: /shop.Cart/Add\n:authority: shop\n"
#define GRPC_TYPE "te: trailers\ncontent-type: application/grpc\n"

static const char *const header_sets[] = {
    /* requests */
    GRPC_REQUEST GRPC_TYPE,
    GRPC_REQUEST GRPC_TYPE "grpc-timeout: 50m\n",
    ":method: POST\n:scheme: http\n:path: /other/Get\n:authority: shop\n" GRPC_TYPE,
    ":method: POST\n:scheme: http\n:path: /nowhere\n:authority: else\n" GRPC_TYPE,
    ":method: GET\n:scheme: http\n:path: /\n:authority: shop\n",
    ":method: POST\n:scheme: http\n:path: /\n:authority: shop\ncontent-length: 5\n",
    ":method: CONNECT\n:authority: shop:80\n",
    ":method: CONNECT\n:protocol: websocket\n:scheme: http\n:path: /\n:authority: shop\n",
    GRPC_REQUEST GRPC_TYPE "x-long: *\n",
    GRPC_REQUEST GRPC_TYPE "x-long: *\nx-longer: *\nx-longest: *\nx-more: *\n",
    /* requests that are none */
    ":method: POST\n:scheme: http\n:authority: shop\n" GRPC_TYPE,
    GRPC_REQUEST "Upper: case\n",
    GRPC_REQUEST "connection: close\n",
    GRPC_REQUEST "host: another\n",
    GRPC_REQUEST "x: a\rb\n",
    ":method: GET\n:scheme: http\n:path: nothing\n:authority: me@shop\n",
    /* responses */
    ":status: 200\ncontent-type: application/grpc\n",
    ":status: 200\ncontent-type: application/grpc\ngrpc-status: 14\ngrpc-message: no%20more\n",
    ":status: 503\n",
    ":status: 103\nlink: x\n",
    ":status: 200\ncontent-length: 3\n",
    ":status: 204\n",
    ":status: 101\n",
    ":status: abc\n",
    ":status: 200\nx-long: *\nx-longer: *\nx-longest: *\nx-more: *\n",
    /* trailers */
    "grpc-status: 0\n",
    "grpc-status: 13\ngrpc-message: bad\n",
    "grpc-status: 99999999999\nx-long: *\n",
    ":status: 200\n",
    "",
};
/* clang-format on */

enum {
    HEADERS_GRPC = 0,
    HEADERS_RESPONSE = 16,
    HEADERS_TRAILERS_ONLY = 17,
    HEADERS_EARLY_HINTS = 19,
    HEADERS_TRAILERS = 25,
};
