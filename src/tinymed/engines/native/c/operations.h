/* The operations, once a kind of processor: included by plain.c, avx2.c and their like, which say
 * by macros what `lanes.h` is to be made of and what OPERATIONS is called. */
#include "kernel.h"
#include "lanes.h"

/* Loops whose counts are known are unrolled into registers; where there are none to name, that
 * would only take the compiler its time. */
#if defined(LANES_AVX512) || defined(LANES_AVX2)
#define PRAGMA(text) _Pragma(#text)
#define UNROLL(count) PRAGMA(GCC unroll count)
#else
#define UNROLL(count)
#endif

INLINE int least(int a, int b) { return a < b ? a : b; }
INLINE int ceiling(int a, int b) { return (a + b - 1) / b; }

/* The last lanes of a row may be fewer than sixteen; zero stands for the others. */
INLINE lanes load_some(const float *p, int count) {
    if (count >= 16) return lanes_load(p);
    float all[16] = {0};
    memcpy(all, p, (size_t)count * sizeof *p);
    return lanes_load(all);
}
INLINE void store_some(float *p, lanes x, int count) {
    if (count >= 16) {
        lanes_store(p, x);
        return;
    }
    float all[16];
    lanes_store(all, x);
    memcpy(p, all, (size_t)count * sizeof *p);
}

#include "linear.h"
#include "rows.h"
#include "attention.h"

const operations OPERATIONS = {
    .name = OPERATIONS_NAME, .linear = linear, .rms_norm = rms_norm, .layer_norm = layer_norm,
    .gate = gate, .activate = activate, .store = store, .attend = attend,
};
