/* For x86 processors with AVX-512 and its 8-bit products: Ice Lake (2019), Zen 4 (2022). */
#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), \
    apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#endif
#define LANES_AVX512
#define OPERATIONS operations_avx512
#define OPERATIONS_NAME "AVX-512"
#include "operations.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int nothing_here;
#endif
