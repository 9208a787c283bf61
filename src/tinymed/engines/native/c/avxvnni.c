/* For x86 processors with 8-bit products but without AVX-512: Alder Lake (2021) and later. */
#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,avxvnni")
#endif
#define LANES_AVX2
#define LANES_VNNI
#define OPERATIONS operations_avxvnni
#define OPERATIONS_NAME "AVX-VNNI"
#include "operations.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int nothing_here;
#endif
