/* SPDX-License-Identifier: Apache-2.0 */

/* A real folder, followed by a real loop; each wait ends with the event it waits for (or Check's timeout). */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#include "api/source/manifests.h"
#include "unit.h"

#define SERVICE(name, port) \
    "{apiVersion: v1, kind: Service, metadata: {name: " name ", namespace: shop}, spec: {ports: [{port: " port "}]}}\n"

static char folder[64];
static struct loop *loop;
static struct model *model;
static struct manifests *manifests;
static unsigned changes;

static void on_change(void *ctx)
{
    (void)ctx;
    changes++;
}

static void setup(void)
{
    struct text error;

    text_init(&error, 200);
    ck_assert_int_eq(log_set_levels(STR("error"), &error), 0);
    text_deinit(&error);
    snprintf(folder, sizeof folder, "/tmp/outrigger-manifests-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    loop = loop_new(1);
    model = model_new();
    manifests = manifests_new(loop, folder, model, on_change, NULL);
}

static char *path_of(const char *name)
{
    return mem_printf("%s/%s", folder, name);
}

static void remove_folder(const char *path)
{
    DIR *stream = opendir(path);

    if (stream == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            char *child = mem_printf("%s/%s", path, entry->d_name);

            if (unlink(child) != 0) {
                remove_folder(child);
            }
            mem_free(child);
        }
    }
    closedir(stream);
    rmdir(path);
}

static void teardown(void)
{
    manifests_free(manifests);
    model_free(model);
    loop_free(loop);
    remove_folder(folder);
}

static int open_file(const char *name, int flags)
{
    char *path = path_of(name);
    int fd = open(path, flags | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    mem_free(path);
    return fd;
}

static void write_text(int fd, const char *text)
{
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void write_file(const char *name, const char *text)
{
    int fd = open_file(name, O_WRONLY | O_CREAT | O_TRUNC);

    write_text(fd, text);
    close(fd);
}

static void move_file(const char *from, const char *to)
{
    char *old = path_of(from), *new = path_of(to);

    ck_assert_int_eq(rename(old, new), 0);
    mem_free(old);
    mem_free(new);
}

static void remove_file(const char *name)
{
    char *path = path_of(name);

    ck_assert_int_eq(unlink(path), 0);
    mem_free(path);
}

static void start(void)
{
    ck_assert_int_eq(manifests_start(manifests), 0);
}

static void await_change(void)
{
    unsigned before = changes;

    while (changes == before) {
        loop_turn(loop, true);
    }
}

static void await_scan(void)
{
    uint64_t before = manifests_status(manifests).scans;

    while (manifests_status(manifests).scans == before) {
        loop_turn(loop, true);
    }
}

/* The first port of shop/<name>, 0 when there is no such Service. */
static unsigned port_of(const char *name)
{
    struct world *w = model_commit(model);
    const struct backend *b = world_find(w, STR("shop"), str_from(name));
    unsigned port = b == NULL ? 0 : b->ports[0].port->number;

    world_unref(&w);
    return port;
}

START_TEST(folder_is_read_at_the_start)
{
    write_file("a.yaml", SERVICE("a", "80"));
    write_file("b.yml", SERVICE("b", "81"));
    write_file("c.json", SERVICE("c", "82"));
    start();
    ck_assert_uint_eq(port_of("a"), 80);
    ck_assert_uint_eq(port_of("b"), 81);
    ck_assert_uint_eq(port_of("c"), 82);
    ck_assert_uint_eq(changes, 0);
}
END_TEST

START_TEST(folder_that_is_not_there_is_an_error)
{
    remove_folder(folder);
    ck_assert_int_eq(manifests_start(manifests), -ENOENT);
}
END_TEST

START_TEST(files_of_other_names_are_left_alone)
{
    write_file(".hidden.yaml", SERVICE("a", "80"));
    write_file("a.yaml~", SERVICE("a", "80"));
    write_file("a.txt", SERVICE("a", "80"));
    start();
    ck_assert_uint_eq(port_of("a"), 0);
}
END_TEST

START_TEST(new_file_is_read)
{
    start();
    write_file("a.yaml", SERVICE("a", "80"));
    await_change();
    ck_assert_uint_eq(port_of("a"), 80);
}
END_TEST

START_TEST(changed_file_is_read_again)
{
    write_file("a.yaml", SERVICE("a", "80"));
    start();
    write_file("a.yaml", SERVICE("a", "81"));
    await_change();
    ck_assert_uint_eq(port_of("a"), 81);
}
END_TEST

START_TEST(file_renamed_into_place_is_read)
{
    write_file("a.yaml", SERVICE("a", "80"));
    start();
    write_file(".a.yaml.tmp", SERVICE("a", "81"));
    move_file(".a.yaml.tmp", "a.yaml");
    await_change();
    ck_assert_uint_eq(port_of("a"), 81);
}
END_TEST

START_TEST(object_that_leaves_its_file_is_removed)
{
    write_file("a.yaml", SERVICE("a", "80") "---\n" SERVICE("b", "81"));
    start();
    write_file("a.yaml", SERVICE("a", "80"));
    await_change();
    ck_assert_uint_eq(port_of("b"), 0);
    ck_assert_uint_eq(port_of("a"), 80);
}
END_TEST

START_TEST(deleted_file_takes_its_objects_along)
{
    write_file("a.yaml", SERVICE("a", "80"));
    write_file("b.yaml", SERVICE("b", "81"));
    start();
    remove_file("a.yaml");
    await_change();
    ck_assert_uint_eq(port_of("a"), 0);
    ck_assert_uint_eq(port_of("b"), 81);
}
END_TEST

START_TEST(file_that_is_renamed_keeps_its_objects)
{
    write_file("a.yaml", SERVICE("a", "80"));
    start();
    move_file("a.yaml", "b.yaml");
    await_change();
    ck_assert_uint_eq(port_of("a"), 80);
}
END_TEST

START_TEST(wrong_file_keeps_its_last_good_objects)
{
    write_file("a.yaml", SERVICE("a", "80"));
    start();
    write_file("a.yaml", "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop}, spec: {ports: [{port: x}]}}\n");
    await_scan();
    ck_assert_uint_eq(port_of("a"), 80);
    ck_assert_uint_eq(manifests_status(manifests).wrong_files, 1);
}
END_TEST

START_TEST(wrong_file_does_not_hold_up_the_others)
{
    start();
    write_file("a.yaml", "{\n");
    write_file("b.yaml", SERVICE("b", "81"));
    await_change();
    ck_assert_uint_eq(port_of("b"), 81);
}
END_TEST

START_TEST(mended_file_counts_again)
{
    write_file("a.yaml", "{\n");
    start();
    ck_assert_uint_eq(manifests_status(manifests).wrong_files, 1);
    write_file("a.yaml", SERVICE("a", "80"));
    await_change();
    ck_assert_uint_eq(port_of("a"), 80);
    ck_assert_uint_eq(manifests_status(manifests).wrong_files, 0);
}
END_TEST

/* Two good documents, of which only the first is written yet: good YAML, but not the file its writer meant. */
START_TEST(file_is_not_read_while_it_is_being_written)
{
    write_file("a.yaml", SERVICE("a", "80") "---\n" SERVICE("b", "81"));
    start();
    int fd = open_file("a.yaml", O_WRONLY | O_TRUNC);

    write_text(fd, SERVICE("a", "82"));
    write_file("other.yaml", SERVICE("other", "1")); /* makes it scan */
    await_change();
    ck_assert_uint_eq(port_of("other"), 1);
    ck_assert_uint_eq(port_of("a"), 80);
    ck_assert_uint_eq(port_of("b"), 81);
    write_text(fd, "---\n" SERVICE("b", "83"));
    close(fd);
    await_change();
    ck_assert_uint_eq(port_of("a"), 82);
    ck_assert_uint_eq(port_of("b"), 83);
}
END_TEST

START_TEST(file_cut_without_a_close_is_read_when_it_has_been_silent)
{
    char *path = path_of("a.yaml");

    write_file("a.yaml", SERVICE("a", "80") "---\n" SERVICE("b", "81"));
    start();
    ck_assert_int_eq(truncate(path, (off_t)strlen(SERVICE("a", "80"))), 0);
    mem_free(path);
    await_change();
    ck_assert_uint_eq(port_of("a"), 80);
    ck_assert_uint_eq(port_of("b"), 0);
}
END_TEST

START_TEST(object_in_two_files_is_the_first_file_s)
{
    write_file("b.yaml", SERVICE("a", "81"));
    write_file("a.yaml", SERVICE("a", "80"));
    start();
    ck_assert_uint_eq(port_of("a"), 80);
}
END_TEST

START_TEST(object_in_two_files_becomes_the_other_s_when_the_first_is_gone)
{
    write_file("b.yaml", SERVICE("a", "81"));
    write_file("a.yaml", SERVICE("a", "80"));
    start();
    remove_file("a.yaml");
    await_change();
    ck_assert_uint_eq(port_of("a"), 81);
}
END_TEST

/* A mounted ConfigMap: files are links through ..data, which is swapped. */
START_TEST(swapped_link_is_followed)
{
    char *one = path_of("..one"), *two = path_of("..two"), *data = path_of("..data"), *next = path_of("..next"),
         *file = path_of("a.yaml");

    ck_assert_int_eq(mkdir(one, 0700), 0);
    ck_assert_int_eq(mkdir(two, 0700), 0);
    write_file("..one/a.yaml", SERVICE("a", "80"));
    write_file("..two/a.yaml", SERVICE("a", "81"));
    ck_assert_int_eq(symlink("..one", data), 0);
    ck_assert_int_eq(symlink("..data/a.yaml", file), 0);
    start();
    ck_assert_uint_eq(port_of("a"), 80);
    ck_assert_int_eq(symlink("..two", next), 0);
    ck_assert_int_eq(rename(next, data), 0);
    await_change();
    ck_assert_uint_eq(port_of("a"), 81);
    mem_free(one);
    mem_free(two);
    mem_free(data);
    mem_free(next);
    mem_free(file);
}
END_TEST

START_TEST(folder_inside_is_not_entered)
{
    char *inner = path_of("inner.yaml");

    ck_assert_int_eq(mkdir(inner, 0700), 0);
    write_file("inner.yaml/a.yaml", SERVICE("a", "80"));
    start();
    ck_assert_uint_eq(port_of("a"), 0);
    mem_free(inner);
}
END_TEST

START_TEST(pipe_does_not_block)
{
    char *pipe_path = path_of("a.yaml");

    ck_assert_int_eq(mkfifo(pipe_path, 0600), 0);
    start();
    ck_assert_uint_eq(manifests_status(manifests).wrong_files, 1);
    mem_free(pipe_path);
}
END_TEST

START_TEST(folder_that_disappears_leaves_everything_and_is_found_again)
{
    write_file("a.yaml", SERVICE("a", "80"));
    start();
    char *away = mem_printf("%s-away", folder);

    ck_assert_int_eq(rename(folder, away), 0);
    uint64_t scans = manifests_status(manifests).scans;

    ck_assert_int_eq(mkdir(folder, 0700), 0);
    write_file("a.yaml", SERVICE("a", "81"));
    while (port_of("a") == 80) {
        loop_turn(loop, true);
    }
    ck_assert_uint_eq(port_of("a"), 81);
    ck_assert_uint_gt(manifests_status(manifests).scans, scans);
    remove_folder(away);
    mem_free(away);
}
END_TEST

START_TEST(objects_stay_while_the_folder_is_away)
{
    write_file("a.yaml", SERVICE("a", "80"));
    start();
    remove_file("a.yaml");
    ck_assert_int_eq(rmdir(folder), 0);
    /* The scan that follows the events finds no folder: it must not conclude that all files are gone. */
    loop_turn(loop, true);
    loop_turn(loop, true);
    ck_assert_uint_eq(port_of("a"), 80);
}
END_TEST

START_TEST(burst_of_events_is_one_scan)
{
    start();
    for (int i = 0; i < 50; i++) {
        char name[16];

        snprintf(name, sizeof name, "f%d.yaml", i);
        write_file(name, "# nothing\n");
    }
    write_file("a.yaml", SERVICE("a", "80"));
    await_change();
    ck_assert_uint_eq(port_of("a"), 80);
    ck_assert_uint_eq(manifests_status(manifests).scans, 2); /* the start's, and one */
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {folder_is_read_at_the_start,
                                  folder_that_is_not_there_is_an_error,
                                  files_of_other_names_are_left_alone,
                                  new_file_is_read,
                                  changed_file_is_read_again,
                                  file_renamed_into_place_is_read,
                                  object_that_leaves_its_file_is_removed,
                                  deleted_file_takes_its_objects_along,
                                  file_that_is_renamed_keeps_its_objects,
                                  wrong_file_keeps_its_last_good_objects,
                                  wrong_file_does_not_hold_up_the_others,
                                  mended_file_counts_again,
                                  file_is_not_read_while_it_is_being_written,
                                  file_cut_without_a_close_is_read_when_it_has_been_silent,
                                  object_in_two_files_is_the_first_file_s,
                                  object_in_two_files_becomes_the_other_s_when_the_first_is_gone,
                                  swapped_link_is_followed,
                                  folder_inside_is_not_entered,
                                  pipe_does_not_block,
                                  folder_that_disappears_leaves_everything_and_is_found_again,
                                  objects_stay_while_the_folder_is_away,
                                  burst_of_events_is_one_scan};
    TCase *tcase = unit_case("manifests", setup, teardown, tests, ARRAY_LEN(tests));

    tcase_set_timeout(tcase, 20);
    return unit_run("manifests", tcase, (TCase *)NULL);
}
