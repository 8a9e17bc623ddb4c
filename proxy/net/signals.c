/* SPDX-License-Identifier: Apache-2.0 */

#include "net/signals.h"

#include <errno.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void on_readable(struct watch *w)
{
    struct signals *s = container_of(w, struct signals, watch);
    struct signalfd_siginfo info;

    /* One a turn: the callback may have stopped us. */
    if (read(s->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        s->on_signal(s, (int)info.ssi_signo);
    }
}

int signals_start(struct signals *s, struct loop *l, void (*on_signal)(struct signals *s, int signo))
{
    sigset_t mask;

    *s = (struct signals){.fd = -1, .on_signal = on_signal};
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    sigaddset(&mask, SIGUSR1);
    s->fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->fd < 0) {
        return -errno;
    }
    int r = watch_start(&s->watch, l, s->fd, on_readable);

    if (r < 0) {
        close(s->fd);
        s->fd = -1;
        return r;
    }
    pthread_sigmask(SIG_BLOCK, &mask, &s->mask_before);
    return 0;
}

void signals_stop(struct signals *s)
{
    if (!s->watch.is_on) {
        return;
    }
    watch_stop(&s->watch);
    close(s->fd);
    s->fd = -1;
    pthread_sigmask(SIG_SETMASK, &s->mask_before, NULL);
}
