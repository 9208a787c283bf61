/* What the kernel offers, and how a kind of processor offers it.
 *
 * Numbers are 32-bit floats, in rows one behind the other, where nothing else is said. The
 * layout of a matrix is described in packed.py, what each operation computes in ops.py. */
#ifndef TINYMED_KERNEL_H
#define TINYMED_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "pool.h"
#include "scratch.h"

enum { BLOCK = 16, GROUP = 32, TILE = 16 };

typedef struct {
    int32_t bits; /* 4, 8 or 16 */
    int32_t rows, columns;
    int32_t blocks, groups;
    int64_t stride; /* bytes from block to block */
    const uint8_t *data;
    const float *bias; /* NULL for none */
} matrix;

enum { PART = 64 };

/* In 16 bits: keys (rows, kv heads, parts, size, PART) and values (rows, kv heads, parts * PART,
 * padded). */
typedef struct {
    int32_t rows, parts;
    uint16_t *keys, *values;
} cache;

typedef struct {
    int32_t num_heads, num_kv_heads, size, padded;
} heads;

typedef struct {
    pool *threads;
    scratch rounded;   /* activations in 8 bits */
    scratch *private_; /* one a thread */
} context;

/* Each returns 0, or -1 if there is no memory. */
typedef struct {
    const char *name;
    int (*linear)(context *, const float *values, int tokens, const matrix *, float *out, int add);
    int (*rms_norm)(context *, const float *values, int tokens, int width, const float *weight,
                    float epsilon, float *out);
    int (*layer_norm)(context *, const float *values, int tokens, int width, const float *weight,
                      const float *bias, float epsilon, float *out);
    int (*gate)(context *, const float *values, int tokens, int width, float *out);
    int (*activate)(context *, float *values, int tokens, int width, int kind);
    int (*store)(context *, float *joint, int tokens, const heads *, const cache *,
                 const int32_t *rows, const int32_t *places, const float *cosines,
                 const float *sines);
    int (*attend)(context *, const float *joint, int tokens, const heads *, const cache *own,
                  const int32_t *rows, const int32_t *visible, const cache *shared,
                  int num_shared, float *out);
} operations;

enum { QUICK_GELU = 0, GELU = 1, GELU_TANH = 2 };

extern const operations operations_plain;
#if defined(__x86_64__)
extern const operations operations_avx2;
extern const operations operations_avxvnni;
extern const operations operations_avx512;
extern const operations operations_amx;
int amx_allowed(void);
#endif

#endif
