/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Any event starts a short wait; when it has been quiet for as long, the folder is scanned as a whole, so that no event needs to be
 * understood, only noticed. The one exception: between the first write to a file and its close the file is not read.
 * After a scan all files' objects are put into the model (equal ones cost a comparison) and what no file names any more is removed.
 */

#include "api/source/manifests.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/timer.h"
#include "net/watch.h"

#include "api/source/folder.h"

#define QUIET_MS 50
#define PATIENCE_MS 500  /* a folder that is never quiet is scanned all the same */
#define RETRY_SECONDS 1  /* while there is no inotify watch */
#define SILENT_SECONDS 2 /* after a write without a close: truncate(2) has none */

#define WATCHED                                                                                                      \
    (IN_MODIFY | IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | \
     IN_MOVE_SELF | IN_ONLYDIR)

/* An object that this source has put into the model. */
struct applied {
    struct hash_node node;
    bool is_slice;
    char *namespace;
    char *name;
    const char *file; /* of this round; valid while `round` is the current one */
    char *doubled_in; /* the file whose version was last reported as unused, or NULL */
    uint64_t round;
};

struct manifests {
    struct loop *loop;
    struct model *model;
    void (*on_change)(void *ctx);
    void *ctx;
    struct folder folder;
    struct hash_table applied;
    uint64_t round;
    struct watch watch;
    int inotify_fd;
    int watch_descriptor; /* -1 while the folder is not watched */
    struct timer timer;
    struct usec first_event; /* of those not scanned for yet; 0: none */
    struct usec last_write;  /* to a file that was not closed since */
};

/* --- into the model --- */

static struct applied *need_applied(struct manifests *m, bool is_slice, const char *namespace, const char *name)
{
    CLEANUP_FREE char *key = mem_printf("%d %s/%s", is_slice, namespace, name);
    uint64_t hash = hash_bytes(key, strlen(key));
    struct applied *a;

    for (struct hash_node *n = hash_first(&m->applied, hash); n != NULL; n = hash_next(n)) {
        a = container_of(n, struct applied, node);
        if (a->is_slice == is_slice && strcmp(a->namespace, namespace) == 0 && strcmp(a->name, name) == 0) {
            return a;
        }
    }
    a = mem_alloc(sizeof *a);
    a->is_slice = is_slice;
    a->namespace = mem_strdup(namespace);
    a->name = mem_strdup(name);
    hash_insert(&m->applied, &a->node, hash);
    return a;
}

static void free_applied(struct hash_node *node, void *ctx)
{
    struct applied *a = container_of(node, struct applied, node);

    (void)ctx;
    mem_free(a->namespace);
    mem_free(a->name);
    mem_free(a->doubled_in);
    mem_free(a);
}

/* True when this file is the first of the round to name the object. */
static bool claim(struct manifests *m, struct applied *a, const char *file)
{
    if (a->round != m->round) {
        a->round = m->round;
        a->file = file;
        return true;
    }
    if (a->doubled_in == NULL || strcmp(a->doubled_in, file) != 0) {
        log_warn(LOG_SOURCE, file, "%s %s/%s is in %s already: that one counts", a->is_slice ? "EndpointSlice" : "Service",
                 a->namespace, a->name, a->file);
        mem_free(a->doubled_in);
        a->doubled_in = mem_strdup(file);
    }
    return false;
}

static void log_left_out(const char *file, int most, const char *kind, const char *namespace, const char *name)
{
    log_error(LOG_SOURCE, file, "more than %d %ss: %s/%s is left out", most, kind, namespace, name);
}

static void put_services(struct manifests *m, const struct folder_file *file)
{
    for (size_t i = 0; i < file->good.service_count; i++) {
        struct service *s = file->good.services[i];

        if (claim(m, need_applied(m, false, s->namespace, s->name), file->name) && !model_put_service(m->model, service_ref(s))) {
            log_left_out(file->name, MODEL_SERVICES_MAX, "Service", s->namespace, s->name);
        }
    }
}

static void put_slices(struct manifests *m, const struct folder_file *file)
{
    for (size_t i = 0; i < file->good.slice_count; i++) {
        struct slice *s = file->good.slices[i];

        if (claim(m, need_applied(m, true, s->namespace, s->name), file->name) && !model_put_slice(m->model, slice_ref(s))) {
            log_left_out(file->name, MODEL_SLICES_MAX, "EndpointSlice", s->namespace, s->name);
        }
    }
}

static void remove_unnamed(struct hash_node *node, void *ctx)
{
    struct manifests *m = ctx;
    struct applied *a = container_of(node, struct applied, node);

    if (a->round == m->round) {
        return;
    }
    if (a->is_slice) {
        model_remove_slice(m->model, str_from(a->namespace), str_from(a->name));
    } else {
        model_remove_service(m->model, str_from(a->namespace), str_from(a->name));
    }
    hash_remove(&m->applied, node);
    free_applied(node, NULL);
}

static void put_all(struct manifests *m)
{
    m->round++;
    for (size_t i = 0; i < m->folder.count; i++) {
        put_services(m, m->folder.files[i]);
        put_slices(m, m->folder.files[i]);
    }
    hash_for_each(&m->applied, remove_unnamed, m);
}

/* 0 or negative errno. `*ret_is_changed` when the model may be another. */
static int scan(struct manifests *m, bool *ret_is_changed)
{
    bool is_changed = false;
    int error = folder_scan(&m->folder, &is_changed);

    if (error < 0) {
        return error;
    }
    if (is_changed) {
        put_all(m);
    }
    *ret_is_changed = is_changed;
    return 0;
}

/* --- events --- */

static void watch_folder(struct manifests *m)
{
    if (m->inotify_fd >= 0 && m->watch_descriptor < 0) {
        m->watch_descriptor = inotify_add_watch(m->inotify_fd, m->folder.path, WATCHED);
        folder_clear_busy(&m->folder); /* what was written meanwhile, nobody told */
    }
}

static void on_timer(struct timer *t)
{
    struct manifests *m = container_of(t, struct manifests, timer);
    bool is_changed = false;
    int error;

    m->first_event.v = 0;
    if (usec_since(loop_now(m->loop), m->last_write).v >= usec_from_s(SILENT_SECONDS).v) {
        folder_clear_busy(&m->folder);
    }
    watch_folder(m);
    error = scan(m, &is_changed);
    if (error < 0) {
        log_warn(LOG_SOURCE, m->folder.path, "cannot be read: %s; everything stays as it is", strerror(-error));
    }
    if (error < 0 || m->watch_descriptor < 0) {
        timer_set(&m->timer, usec_from_s(RETRY_SECONDS));
    } else if (folder_has_busy(&m->folder)) {
        timer_set(&m->timer, usec_from_s(SILENT_SECONDS));
    }
    if (is_changed) {
        m->on_change(m->ctx);
    }
}

/* Waits for quiet, but not for ever. */
static void expect_scan(struct manifests *m)
{
    struct usec now = loop_now(m->loop);

    if (m->first_event.v == 0) {
        m->first_event = now;
    } else if (usec_since(now, m->first_event).v >= usec_from_ms(PATIENCE_MS).v) {
        return; /* the timer runs already; it is not put off any more */
    }
    timer_set(&m->timer, usec_from_ms(QUIET_MS));
}

/* Not read before its writer closes it or falls silent. */
static void expect_close(struct manifests *m, const char *name)
{
    folder_set_busy(&m->folder, name, true);
    m->last_write = loop_now(m->loop);
    if (m->first_event.v == 0) {
        timer_set(&m->timer, usec_from_s(SILENT_SECONDS));
    }
}

static void forget_watch(struct manifests *m)
{
    if (m->watch_descriptor >= 0) {
        inotify_rm_watch(m->inotify_fd, m->watch_descriptor);
        m->watch_descriptor = -1;
    }
}

/* `name` is "" for events of the folder itself. */
static void take_event(struct manifests *m, const struct inotify_event *event, const char *name)
{
    if ((event->mask & IN_Q_OVERFLOW) != 0) {
        folder_clear_busy(&m->folder);
        expect_scan(m);
        return;
    }
    if (event->wd != m->watch_descriptor) {
        return; /* left over from a watch that was given up */
    }
    if ((event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) != 0) {
        forget_watch(m);
    } else if ((event->mask & IN_ISDIR) != 0 && (event->mask & IN_CREATE) != 0 && name[0] != '.') {
        log_warn(LOG_SOURCE, name, "is a folder: it is not entered");
    } else if (folder_is_manifest(name) && (event->mask & IN_MODIFY) != 0) {
        expect_close(m, name);
        return;
    } else if (folder_is_manifest(name)) {
        folder_set_busy(&m->folder, name, false);
    }
    expect_scan(m);
}

static void on_inotify(struct watch *w)
{
    struct manifests *m = container_of(w, struct manifests, watch);
    const uint8_t *buffer = loop_read_buffer(m->loop);
    ssize_t len = read(m->inotify_fd, loop_read_buffer(m->loop), LOOP_READ_BUFFER_SIZE);

    for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= len;) {
        struct inotify_event event;
        char name[NAME_MAX + 1] = "";

        memcpy(&event, buffer + at, sizeof event);
        at += (ssize_t)sizeof event;
        if (event.len > 0) { /* NUL-padded by the kernel */
            memcpy(name, buffer + at, event.len < sizeof name ? event.len : sizeof name - 1);
        }
        at += (ssize_t)event.len;
        take_event(m, &event, name);
    }
}

/* --- life --- */

struct manifests *manifests_new(struct loop *l, const char *folder, struct model *model, void (*on_change)(void *ctx), void *ctx)
{
    struct manifests *m = mem_alloc(sizeof *m);

    m->loop = l;
    m->model = model;
    m->on_change = on_change;
    m->ctx = ctx;
    m->inotify_fd = -1;
    m->watch_descriptor = -1;
    folder_init(&m->folder, folder);
    hash_init(&m->applied);
    timer_init(&m->timer, l, on_timer);
    return m;
}

/* Without inotify the folder is looked at every second. */
static void start_inotify(struct manifests *m)
{
    int error;

    m->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    error = m->inotify_fd < 0 ? -errno : watch_start(&m->watch, m->loop, m->inotify_fd, on_inotify);
    if (error == 0) {
        watch_folder(m);
        error = m->watch_descriptor < 0 ? -errno : 0;
    }
    if (error < 0) {
        log_warn(LOG_SOURCE, m->folder.path, "cannot be watched (%s): it is read every second", strerror(-error));
        timer_set(&m->timer, usec_from_s(RETRY_SECONDS));
    }
}

int manifests_start(struct manifests *m)
{
    bool is_changed;

    /* Watched before it is read, so that no change falls in between. */
    start_inotify(m);
    return scan(m, &is_changed);
}

void manifests_free(struct manifests *m)
{
    if (m == NULL) {
        return;
    }
    timer_stop(&m->timer);
    watch_stop(&m->watch);
    if (m->inotify_fd >= 0) {
        close(m->inotify_fd);
    }
    hash_for_each(&m->applied, free_applied, NULL);
    hash_deinit(&m->applied);
    folder_deinit(&m->folder);
    mem_free(m);
}

struct manifests_status manifests_status(const struct manifests *m)
{
    return (struct manifests_status){
        .files = m->folder.count,
        .wrong_files = folder_wrong_count(&m->folder),
        .services = model_service_count(m->model),
        .slices = model_slice_count(m->model),
        .scans = m->folder.scans,
        .errors = m->folder.errors,
    };
}
