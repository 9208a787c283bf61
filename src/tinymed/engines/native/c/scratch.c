#include "scratch.h"

#include <stdint.h>
#include <stdlib.h>

void *scratch_of(scratch *s, size_t size) {
    if (size <= s->size) return s->at;
    free(s->whole);
    s->whole = malloc(size + 63);
    s->at = (char *)(((uintptr_t)s->whole + 63) & ~(uintptr_t)63);
    s->size = s->whole == NULL ? 0 : size;
    return s->whole == NULL ? NULL : s->at;
}
