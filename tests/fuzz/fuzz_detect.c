/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Detection fed in pieces, with time passing, decides once, and a client's bytes decide the same however they are cut.
 * Input: pairs of a control byte and a length-limited piece; control bit 0: server, bits 1–2: milliseconds × 400 before it.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/detect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct detect d;
    struct usec now = {1};
    enum detect_action action = detect_start(&d, &detect_policy_default, size % 2 == 1, now);
    size_t at = 0;

    (void)detect_label(data, size);
    (void)detect_server_can_be_settings(data, size);
    while (at + 2 <= size) {
        uint8_t control = data[at];
        size_t len = data[at + 1] % 32;
        enum detect_action before = action;

        at += 2;
        len = len > size - at ? size - at : len;
        now = usec_add(now, usec_from_ms((control >> 1 & 3u) * 400));
        action = detect_time(&d, now);
        action = (control & 1) != 0 ? detect_server_bytes(&d, data + at, len, now) : detect_client_bytes(&d, data + at, len, now);
        at += len;
        assert(before < DETECT_GO_HTTP2 || action == before); /* once decided, the answer stays */
    }
    return 0;
}
