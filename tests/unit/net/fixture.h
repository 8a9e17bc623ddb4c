/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the tests of net/ share: a loop, connected sockets, the last lines of main. A test that hangs is ended by Check. */

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "net/loop.h"
#include "net/stream.h"

extern struct loop *loop; /* between loop_setup and loop_teardown */

void loop_setup(void);
void loop_teardown(void); /* the loop must be able to end: nothing may be left on it */

/* A test case with the loop as its fixture. */
TCase *loop_tcase(const char *name);

/* Runs the one case; main's result. */
int run_tcase(TCase *tcase);

/* Waits for events until `*flag`. */
void turn_until(const bool *flag);

struct addr loopback(uint16_t port);
struct addr loopback_v6(uint16_t port);

/* Two connected non-blocking TCP sockets. */
void tcp_pair(int fds[static 2]);

/* A blocking socket connected to `to`; its listener need not have accepted it yet. */
int dial(const struct addr *to);

/* Reads until `len` bytes or the end have come, waiting for them; returns how many. */
size_t read_fully(int fd, void *buf, size_t len);

int int_option(int fd, int level, int option);

/* No descriptor can be opened from here to descriptors_allow. */
void descriptors_forbid(void);
void descriptors_allow(void);
