/* Memory that grows. */
#ifndef TINYMED_SCRATCH_H
#define TINYMED_SCRATCH_H

#include <stddef.h>

/* Memory that operations write what they need into; grows, and is kept. */
typedef struct {
    void *whole; /* as it was given; `at` is its first place that 64 divides */
    char *at;
    size_t size;
} scratch;

/* At least so many bytes, aligned to 64; NULL if there are none. */
void *scratch_of(scratch *, size_t);

#endif
