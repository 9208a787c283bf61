/* For x86 processors since Haswell (2013) and Zen (2017). */
#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c")
#endif
#define LANES_AVX2
#define OPERATIONS operations_avx2
#define OPERATIONS_NAME "AVX2"
#include "operations.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int nothing_here;
#endif
