/* SPDX-License-Identifier: Apache-2.0 */

/* Lines of the input that begin with OUTRIGGER_ are variables, the others arguments. What is accepted must survive print and parse. */

#include "base/mem.h"
#include "fuzz_settings_rows.h"

#define ARGUMENTS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_values values;
    struct text out;
    char *argv[ARGUMENTS_MAX + 1] = {mem_strdup("fuzz")};
    char *env[ARGUMENTS_MAX + 1] = {NULL};
    int argc = 1;
    int envc = 0;
    struct str rest = {(const char *)data, size};
    struct str line;

    while (size > 0 && argc < ARGUMENTS_MAX && envc < ARGUMENTS_MAX && str_split(&rest, '\n', &line)) {
        char *copy = mem_copy_string(line.p, line.len);

        *(str_starts_with(line, STR("OUTRIGGER_")) ? &env[envc++] : &argv[argc++]) = copy;
    }
    text_init(&out, 1 << 20);
    if (settings_parse(&fuzz_program, argc, argv, env, &values, &out) == SETTINGS_OK) {
        fuzz_expect_round_trip(&values);
        settings_deinit(&fuzz_program, &values);
    }
    text_deinit(&out);
    while (argc > 0) {
        mem_free(argv[--argc]);
    }
    while (envc > 0) {
        mem_free(env[--envc]);
    }
    return 0;
}
