/* Sixteen numbers side by side, in whatever registers the processor has for them.
 *
 * Everything above this file is written with these and compiled once a kind of processor. Sums
 * have one order and roundings one place on all of them: answers do not depend on the processor.
 * One of LANES_AVX512, LANES_AVX2 and LANES_PLAIN is defined where this file is included;
 * LANES_VNNI as well where AVX2 has the 8-bit products of later processors. */
#ifndef TINYMED_LANES_H
#define TINYMED_LANES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

typedef uint16_t half;

/* ---------------------------------------------------------------- AVX-512 */
#if defined(LANES_AVX512)
#include <immintrin.h>

typedef __m512 lanes;
typedef __m512i integers; /* 16 of 32 bits */
typedef __m512i bytes;    /* 64, four to a lane */

INLINE lanes lanes_set(float x) { return _mm512_set1_ps(x); }
INLINE lanes lanes_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE void lanes_store(float *p, lanes a) { _mm512_storeu_ps(p, a); }
INLINE lanes lanes_add(lanes a, lanes b) { return _mm512_add_ps(a, b); }
INLINE lanes lanes_sub(lanes a, lanes b) { return _mm512_sub_ps(a, b); }
INLINE lanes lanes_mul(lanes a, lanes b) { return _mm512_mul_ps(a, b); }
INLINE lanes lanes_div(lanes a, lanes b) { return _mm512_div_ps(a, b); }
INLINE lanes lanes_fma(lanes a, lanes b, lanes c) { return _mm512_fmadd_ps(a, b, c); }
INLINE lanes lanes_max(lanes a, lanes b) { return _mm512_max_ps(a, b); }
INLINE lanes lanes_min(lanes a, lanes b) { return _mm512_min_ps(a, b); }
INLINE lanes lanes_abs(lanes a) { return _mm512_abs_ps(a); }
INLINE integers lanes_round(lanes a) { return _mm512_cvtps_epi32(a); }
INLINE lanes lanes_of(integers a) { return _mm512_cvtepi32_ps(a); }
INLINE lanes lanes_load_half(const half *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
INLINE void lanes_store_half(half *p, lanes a) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}
/* 2 to the power of each: whole numbers from -126 to 127. */
INLINE lanes lanes_power_of_two(integers a) {
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_add_epi32(a, _mm512_set1_epi32(127)), 23));
}
INLINE float lanes_largest(lanes a) { return _mm512_reduce_max_ps(a); }

INLINE integers integers_set(int32_t x) { return _mm512_set1_epi32(x); }
INLINE void integers_store_bytes(int8_t *p, integers a) {
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(a));
}
INLINE int32_t integers_sum(integers a) { return _mm512_reduce_add_epi32(a); }
INLINE integers integers_add(integers a, integers b) { return _mm512_add_epi32(a, b); }

INLINE bytes bytes_load(const uint8_t *p) { return _mm512_loadu_si512(p); }
INLINE bytes bytes_low(bytes a) { return _mm512_and_si512(a, _mm512_set1_epi8(15)); }
INLINE bytes bytes_high(bytes a) {
    return _mm512_and_si512(_mm512_srli_epi16(a, 4), _mm512_set1_epi8(15));
}
INLINE bytes bytes_of_four(const int8_t *four) {
    int32_t all;
    memcpy(&all, four, 4);
    return _mm512_set1_epi32(all);
}
/* sum + each lane's products of 8 times 4 unsigned bytes with the same 32 signed ones. */
INLINE integers dot_nibbles(integers sum, const bytes w[8], const int8_t *values) {
    for (int k = 0; k < 8; k++) sum = _mm512_dpbusd_epi32(sum, w[k], bytes_of_four(values + 4 * k));
    return sum;
}
INLINE integers dot_bytes(integers sum, const bytes w[8], const int8_t *values) {
    return dot_nibbles(sum, w, values);
}
/* What a sum must begin with, so that offset bytes count as signed ones. */
#define NIBBLES_BEGIN (-8)
#define BYTES_BEGIN (-128)

/* ------------------------------------------------------------------ AVX2 */
#elif defined(LANES_AVX2)
#include <immintrin.h>

typedef struct { __m256 a, b; } lanes;
typedef struct { __m256i a, b; } integers;
typedef struct { __m256i a, b; } bytes;

#define EACH(type, f, x, y) ((type){f((x).a, (y).a), f((x).b, (y).b)})
INLINE lanes lanes_set(float x) { return (lanes){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
INLINE lanes lanes_load(const float *p) {
    return (lanes){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
INLINE void lanes_store(float *p, lanes x) {
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}
INLINE lanes lanes_add(lanes x, lanes y) { return EACH(lanes, _mm256_add_ps, x, y); }
INLINE lanes lanes_sub(lanes x, lanes y) { return EACH(lanes, _mm256_sub_ps, x, y); }
INLINE lanes lanes_mul(lanes x, lanes y) { return EACH(lanes, _mm256_mul_ps, x, y); }
INLINE lanes lanes_div(lanes x, lanes y) { return EACH(lanes, _mm256_div_ps, x, y); }
INLINE lanes lanes_fma(lanes x, lanes y, lanes z) {
    return (lanes){_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
INLINE lanes lanes_max(lanes x, lanes y) { return EACH(lanes, _mm256_max_ps, x, y); }
INLINE lanes lanes_min(lanes x, lanes y) { return EACH(lanes, _mm256_min_ps, x, y); }
INLINE lanes lanes_abs(lanes x) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return (lanes){_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
}
INLINE integers lanes_round(lanes x) {
    return (integers){_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)};
}
INLINE lanes lanes_of(integers x) {
    return (lanes){_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)};
}
INLINE lanes lanes_load_half(const half *p) {
    return (lanes){_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)),
                   _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8)))};
}
INLINE void lanes_store_half(half *p, lanes x) {
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128((__m128i *)(p + 8), _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT));
}
INLINE __m256 power_of_two_8(__m256i x) {
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_add_epi32(x, _mm256_set1_epi32(127)), 23));
}
INLINE lanes lanes_power_of_two(integers x) {
    return (lanes){power_of_two_8(x.a), power_of_two_8(x.b)};
}
INLINE float lanes_largest(lanes x) {
    const __m256 eight = _mm256_max_ps(x.a, x.b);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

INLINE integers integers_set(int32_t x) {
    return (integers){_mm256_set1_epi32(x), _mm256_set1_epi32(x)};
}
INLINE void integers_store_bytes(int8_t *p, integers x) {
    int32_t all[16];
    _mm256_storeu_si256((__m256i *)all, x.a);
    _mm256_storeu_si256((__m256i *)(all + 8), x.b);
    for (int i = 0; i < 16; i++) p[i] = (int8_t)all[i];
}
INLINE int32_t integers_sum(integers x) {
    int32_t all[8], sum = 0;
    _mm256_storeu_si256((__m256i *)all, _mm256_add_epi32(x.a, x.b));
    for (int i = 0; i < 8; i++) sum += all[i];
    return sum;
}
INLINE integers integers_add(integers x, integers y) {
    return EACH(integers, _mm256_add_epi32, x, y);
}

INLINE bytes bytes_load(const uint8_t *p) {
    return (bytes){_mm256_loadu_si256((const __m256i *)p),
                   _mm256_loadu_si256((const __m256i *)(p + 32))};
}
INLINE bytes bytes_low(bytes x) {
    const __m256i low = _mm256_set1_epi8(15);
    return (bytes){_mm256_and_si256(x.a, low), _mm256_and_si256(x.b, low)};
}
INLINE bytes bytes_high(bytes x) {
    const __m256i low = _mm256_set1_epi8(15);
    return (bytes){_mm256_and_si256(_mm256_srli_epi16(x.a, 4), low),
                   _mm256_and_si256(_mm256_srli_epi16(x.b, 4), low)};
}
INLINE __m256i bytes_of_four(const int8_t *four) {
    int32_t all;
    memcpy(&all, four, 4);
    return _mm256_set1_epi32(all);
}
#define NIBBLES_BEGIN (-8)
#if defined(LANES_VNNI)
#define BYTES_BEGIN (-128)
INLINE integers dot_nibbles(integers sum, const bytes w[8], const int8_t *values) {
    for (int k = 0; k < 8; k++) {
        const __m256i y = bytes_of_four(values + 4 * k);
        sum.a = _mm256_dpbusd_avx_epi32(sum.a, w[k].a, y);
        sum.b = _mm256_dpbusd_avx_epi32(sum.b, w[k].b, y);
    }
    return sum;
}
INLINE integers dot_bytes(integers sum, const bytes w[8], const int8_t *values) {
    return dot_nibbles(sum, w, values);
}
#else
/* Products are added in 16 bits here. Those of nibbles fit for a whole group:
 * 15 * 127 * 2 * 8 = 30,480. Of bytes not even two would: so bytes are made signed again, and
 * their signs moved to the other factor; 127 * 127 * 2 = 32,258. */
#define BYTES_BEGIN 0
INLINE __m256i add_pairs(__m256i sum, __m256i pairs) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
INLINE integers dot_nibbles(integers sum, const bytes w[8], const int8_t *values) {
    __m256i a = _mm256_setzero_si256(), b = a;
    for (int k = 0; k < 8; k++) {
        const __m256i y = bytes_of_four(values + 4 * k);
        a = _mm256_add_epi16(a, _mm256_maddubs_epi16(w[k].a, y));
        b = _mm256_add_epi16(b, _mm256_maddubs_epi16(w[k].b, y));
    }
    return (integers){add_pairs(sum.a, a), add_pairs(sum.b, b)};
}
INLINE __m256i signed_pairs(__m256i x, __m256i y) {
    const __m256i whole = _mm256_xor_si256(x, _mm256_set1_epi8(-128));
    return _mm256_maddubs_epi16(_mm256_abs_epi8(whole), _mm256_sign_epi8(y, whole));
}
INLINE integers dot_bytes(integers sum, const bytes w[8], const int8_t *values) {
    for (int k = 0; k < 8; k++) {
        const __m256i y = bytes_of_four(values + 4 * k);
        sum.a = add_pairs(sum.a, signed_pairs(w[k].a, y));
        sum.b = add_pairs(sum.b, signed_pairs(w[k].b, y));
    }
    return sum;
}
#endif
#undef EACH

/* ------------------------------------------------- any other processor */
#else
typedef struct { float v[16]; } lanes;
typedef struct { int32_t v[16]; } integers;
typedef struct { uint8_t v[64]; } bytes;

#define ALL(i) for (int i = 0; i < 16; i++)
INLINE lanes lanes_set(float x) { lanes r; ALL(i) r.v[i] = x; return r; }
INLINE lanes lanes_load(const float *p) { lanes r; memcpy(&r, p, sizeof r); return r; }
INLINE void lanes_store(float *p, lanes x) { memcpy(p, &x, sizeof x); }
INLINE lanes lanes_add(lanes x, lanes y) { ALL(i) x.v[i] += y.v[i]; return x; }
INLINE lanes lanes_sub(lanes x, lanes y) { ALL(i) x.v[i] -= y.v[i]; return x; }
INLINE lanes lanes_mul(lanes x, lanes y) { ALL(i) x.v[i] *= y.v[i]; return x; }
INLINE lanes lanes_div(lanes x, lanes y) { ALL(i) x.v[i] /= y.v[i]; return x; }
INLINE lanes lanes_fma(lanes x, lanes y, lanes z) {
    ALL(i) z.v[i] = fmaf(x.v[i], y.v[i], z.v[i]);
    return z;
}
INLINE lanes lanes_max(lanes x, lanes y) {
    ALL(i) x.v[i] = x.v[i] > y.v[i] ? x.v[i] : y.v[i];
    return x;
}
INLINE lanes lanes_min(lanes x, lanes y) {
    ALL(i) x.v[i] = x.v[i] < y.v[i] ? x.v[i] : y.v[i];
    return x;
}
INLINE lanes lanes_abs(lanes x) { ALL(i) x.v[i] = fabsf(x.v[i]); return x; }
INLINE integers lanes_round(lanes x) {
    integers r;
    ALL(i) r.v[i] = (int32_t)nearbyintf(x.v[i]);
    return r;
}
INLINE lanes lanes_of(integers x) { lanes r; ALL(i) r.v[i] = (float)x.v[i]; return r; }

INLINE float wide(half h) {
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t rest = h & 0x7fffu;
    uint32_t bits;
    if (rest >= 0x7c00u) bits = sign | 0x7f800000u | (rest & 0x3ffu) << 13;
    else if (rest >= 0x400u) bits = sign | ((rest << 13) + 0x38000000u);
    else {
        const float small = (float)rest * 0x1p-24f;
        memcpy(&bits, &small, 4);
        bits |= sign;
    }
    float f;
    memcpy(&f, &bits, 4);
    return f;
}
INLINE half narrow(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    const uint32_t sign = bits >> 16 & 0x8000u;
    bits &= 0x7fffffffu;
    if (bits > 0x7f800000u) return (half)(sign | 0x7e00u);
    if (bits >= 0x477ff000u) return (half)(sign | 0x7c00u);
    if (bits < 0x38800000u) { /* the sum's own rounding leaves a multiple of 2^-24 */
        float small;
        memcpy(&small, &bits, 4);
        small += 0.5f;
        memcpy(&bits, &small, 4);
        return (half)(sign | (bits - 0x3f000000u));
    }
    bits += 0xfffu + (bits >> 13 & 1u);
    return (half)(sign | (bits - 0x38000000u) >> 13);
}
INLINE lanes lanes_load_half(const half *p) { lanes r; ALL(i) r.v[i] = wide(p[i]); return r; }
INLINE void lanes_store_half(half *p, lanes x) { ALL(i) p[i] = narrow(x.v[i]); }
INLINE lanes lanes_power_of_two(integers x) {
    lanes r;
    ALL(i) {
        const uint32_t bits = (uint32_t)(x.v[i] + 127) << 23;
        memcpy(&r.v[i], &bits, 4);
    }
    return r;
}
INLINE float lanes_largest(lanes x) {
    float largest = x.v[0];
    ALL(i) largest = x.v[i] > largest ? x.v[i] : largest;
    return largest;
}

INLINE integers integers_set(int32_t x) { integers r; ALL(i) r.v[i] = x; return r; }
INLINE void integers_store_bytes(int8_t *p, integers x) { ALL(i) p[i] = (int8_t)x.v[i]; }
INLINE int32_t integers_sum(integers x) { int32_t s = 0; ALL(i) s += x.v[i]; return s; }
INLINE integers integers_add(integers x, integers y) { ALL(i) x.v[i] += y.v[i]; return x; }

INLINE bytes bytes_load(const uint8_t *p) { bytes r; memcpy(&r, p, sizeof r); return r; }
INLINE bytes bytes_low(bytes x) {
    for (int i = 0; i < 64; i++) x.v[i] &= 15;
    return x;
}
INLINE bytes bytes_high(bytes x) {
    for (int i = 0; i < 64; i++) x.v[i] >>= 4;
    return x;
}
INLINE integers dot_nibbles(integers sum, const bytes w[8], const int8_t *values) {
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < 64; i++) sum.v[i / 4] += w[k].v[i] * values[4 * k + i % 4];
    return sum;
}
INLINE integers dot_bytes(integers sum, const bytes w[8], const int8_t *values) {
    return dot_nibbles(sum, w, values);
}
#define NIBBLES_BEGIN (-8)
#define BYTES_BEGIN (-128)
#undef ALL
#endif

/* ------------------------------------------------------ on top of those */

/* One order for all: lane i + lane i + 8, then + 4, + 2, + 1. */
INLINE float lanes_sum(lanes x) {
    float v[16];
    lanes_store(v, x);
    for (int step = 8; step > 0; step /= 2)
        for (int i = 0; i < step; i++) v[i] += v[i + step];
    return v[0];
}

/* e to the power of each, to 2 units in the last place; below -87 as -87, above 88 as 88. */
INLINE lanes lanes_exp(lanes x) {
    x = lanes_min(lanes_max(x, lanes_set(-87.0f)), lanes_set(88.0f));
    const integers n = lanes_round(lanes_mul(x, lanes_set(1.44269504f)));
    const lanes whole = lanes_of(n);
    /* ln 2 in two pieces: the first has few bits, so that its product is exact. */
    lanes r = lanes_fma(whole, lanes_set(-0.693359375f), x);
    r = lanes_fma(whole, lanes_set(2.12194440e-4f), r);
    lanes p = lanes_set(1.9875691500e-4f); /* Cephes' polynomial for expf */
    p = lanes_fma(p, r, lanes_set(1.3981999507e-3f));
    p = lanes_fma(p, r, lanes_set(8.3334519073e-3f));
    p = lanes_fma(p, r, lanes_set(4.1665795894e-2f));
    p = lanes_fma(p, r, lanes_set(1.6666665459e-1f));
    p = lanes_fma(p, r, lanes_set(5.0000001201e-1f));
    p = lanes_fma(p, lanes_mul(r, r), lanes_add(r, lanes_set(1.0f)));
    return lanes_mul(p, lanes_power_of_two(n));
}

#endif
