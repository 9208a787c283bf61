/* For x86 processors with tiles of 8-bit products: Sapphire Rapids (2023) and later servers. */
#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,amx-tile,amx-int8"))), \
    apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,amx-tile,amx-int8")
#endif
#define LANES_AVX512
#define LANES_AMX
#define OPERATIONS operations_amx
#define OPERATIONS_NAME "AMX"
#include "operations.h"
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
/* Linux gives a process the tiles only when it asks: asm/prctl.h, and the number of their data. */
enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
int amx_allowed(void) {
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}
#else
int amx_allowed(void) { return 0; }
#endif
#if defined(__clang__)
#pragma clang attribute pop
#endif
#else
typedef int nothing_here;
#endif
