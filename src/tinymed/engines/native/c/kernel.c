/* What Python calls: a context is opened for a number of threads, and the best of the operations
 * that the processor can run is chosen. One call at a time in a context. */
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef struct {
    context c;
    const operations *run;
} opened;

static int can_run(const operations *candidate) {
    if (candidate == &operations_plain) return 1;
#if defined(__x86_64__)
    __builtin_cpu_init();
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                     __builtin_cpu_supports("f16c");
    const int avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
    if (candidate == &operations_avx2) return avx2;
    if (candidate == &operations_avxvnni) return avx2 && __builtin_cpu_supports("avxvnni");
    if (candidate == &operations_avx512) return avx512;
    if (candidate == &operations_amx)
        return avx512 && __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-int8") &&
               amx_allowed();
#endif
    return 0;
}

static const operations *const BEST_FIRST[] = {
#if defined(__x86_64__)
    &operations_amx, &operations_avx512, &operations_avxvnni, &operations_avx2,
#endif
    &operations_plain, NULL,
};

/* The name of the n-th of the kinds of operations that this processor can run, best first;
 * NULL where there are no more. */
EXPORT const char *tinymed_kind(int n) {
    for (int i = 0; BEST_FIRST[i] != NULL; i++)
        if (can_run(BEST_FIRST[i]) && n-- == 0) return BEST_FIRST[i]->name;
    return NULL;
}

EXPORT void tinymed_close(opened *o) {
    if (o == NULL) return;
    for (int thread = 0; o->c.private_ != NULL && thread < pool_threads(o->c.threads); thread++)
        free(o->c.private_[thread].whole);
    free(o->c.private_);
    free(o->c.rounded.whole);
    pool_stop(o->c.threads);
    free(o);
}

/* NULL where no kind has this name or the system gives no memory or threads. */
EXPORT opened *tinymed_open(int threads, const char *kind) {
    opened *o = calloc(1, sizeof *o);
    if (o == NULL) return NULL;
    for (int i = 0; BEST_FIRST[i] != NULL && o->run == NULL; i++)
        if (can_run(BEST_FIRST[i]) && strcmp(kind, BEST_FIRST[i]->name) == 0)
            o->run = BEST_FIRST[i];
    if (o->run != NULL) o->c.threads = pool_start(threads);
    if (o->c.threads != NULL) o->c.private_ = calloc((size_t)threads, sizeof *o->c.private_);
    if (o->c.private_ != NULL) return o;
    tinymed_close(o);
    return NULL;
}

EXPORT int tinymed_linear(opened *o, const float *values, int tokens, const matrix *m, float *out,
                          int add) {
    return o->run->linear(&o->c, values, tokens, m, out, add);
}
EXPORT int tinymed_rms_norm(opened *o, const float *values, int tokens, int width,
                            const float *weight, float epsilon, float *out) {
    return o->run->rms_norm(&o->c, values, tokens, width, weight, epsilon, out);
}
EXPORT int tinymed_layer_norm(opened *o, const float *values, int tokens, int width,
                              const float *weight, const float *bias, float epsilon, float *out) {
    return o->run->layer_norm(&o->c, values, tokens, width, weight, bias, epsilon, out);
}
EXPORT int tinymed_gate(opened *o, const float *values, int tokens, int width, float *out) {
    return o->run->gate(&o->c, values, tokens, width, out);
}
EXPORT int tinymed_activate(opened *o, float *values, int tokens, int width, int kind) {
    return o->run->activate(&o->c, values, tokens, width, kind);
}
EXPORT int tinymed_store(opened *o, float *joint, int tokens, const heads *h, const cache *to,
                         const int32_t *rows, const int32_t *places, const float *cosines,
                         const float *sines) {
    return o->run->store(&o->c, joint, tokens, h, to, rows, places, cosines, sines);
}
EXPORT int tinymed_attend(opened *o, const float *joint, int tokens, const heads *h,
                          const cache *own, const int32_t *rows, const int32_t *visible,
                          const cache *shared, int num_shared, float *out) {
    return o->run->attend(&o->c, joint, tokens, h, own, rows, visible, shared, num_shared, out);
}
