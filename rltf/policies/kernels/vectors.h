/* Vectors are GCC's, as wide as the machine's registers: wider ones it would keep in memory. What is summed in 16 lanes is
 * summed in 16 on every machine, so results are the same. */
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#define LANES 16 /* floats side by side in memory and in sums */
#if defined(__AVX512F__)
#define WIDE 16 /* floats of a register */
#elif defined(__AVX__)
#define WIDE 8
#else
#define WIDE 4
#endif
#define PARTS (LANES / WIDE) /* registers for 16 lanes */
#define BYTES (4 * WIDE)
/* For sums to stay in registers: loops over them are unrolled, and not nested, as their arrays have one dimension. */
#define UNROLLED _Pragma("GCC unroll 32")
#define INLINE static inline __attribute__((always_inline))
typedef float vec __attribute__((vector_size(BYTES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(BYTES), aligned(4), may_alias));

INLINE vec all(float x) { return x - (vec){}; }
INLINE vec load(const float *x) { return *(const vec *)x; }
INLINE void save(float *x, vec value) { *(vec *)x = value; }
INLINE vec select_(ivec mask, vec yes, vec no) { return (vec)((mask & (ivec)yes) | (~mask & (ivec)no)); }
INLINE vec larger(vec a, vec b) { return select_(a > b, a, b); }

/* Of 16 lanes, in their order. */
INLINE float sum_of(const vec *lanes) {
    float total = 0;
    for (int p = 0; p < PARTS; p++)
        for (int i = 0; i < WIDE; i++) total += lanes[p][i];
    return total;
}

INLINE float max_of(vec x) {
    float most = x[0];
    for (int i = 1; i < WIDE; i++) most = x[i] > most ? x[i] : most;
    return most;
}

/* e^x for x <= 0, 0 below -80, not a number stays none; relative error below 2e-7 (Cephes' reduction and polynomial). */
INLINE vec exp_(vec x) {
    ivec gone = x < all(-80.f);
    vec safe = select_(gone, all(-80.f), x);
    vec scaled = safe * 1.44269504088896341f - 0.5f;
    ivec whole = __builtin_convertvector(scaled, ivec); /* towards zero: the nearest integer, as scaled is negative */
    vec n = __builtin_convertvector(whole, vec);
    vec r = safe - n * 0.693359375f + n * 2.12194440e-4f;
    vec p = all(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    vec power = (vec)((whole + 127) << 23);
    return select_(gone, all(0), p * power);
}

#define UP(n) (((n) + LANES - 1) / LANES * LANES)

/* Asks for memory ahead of its use: rows are read in short runs, which the machine's own prefetching starts late on. */
INLINE void fetch(const float *from, int64_t count) {
    for (int64_t i = 0; i < count; i += LANES) __builtin_prefetch(from + i, 0, 2);
}

/* out[i][b * 16 ...] = q[i] . k[b], for N queries and M blocks at once: independent sums hide the latency. */
INLINE void tile(const int N, const int M, const float **q, const float *k, int64_t width, float **out, int64_t at) {
    vec sum[16];
    UNROLLED
    for (int j = 0; j < N * M * PARTS; j++) sum[j] = all(0);
    for (int64_t d = 0; d < width; d++) {
        vec key[16];
        UNROLLED
        for (int j = 0; j < M * PARTS; j++) key[j] = load(k + (j / PARTS * width + d) * LANES + j % PARTS * WIDE);
        UNROLLED
        for (int j = 0; j < N * M * PARTS; j++) sum[j] += q[j / (M * PARTS)][d] * key[j % (M * PARTS)];
    }
    UNROLLED
    for (int j = 0; j < N * M * PARTS; j++) save(out[j / (M * PARTS)] + at + j % (M * PARTS) * WIDE, sum[j]);
}

INLINE void scores(const int N, const float **q, const float *k, int64_t width, int64_t blocks, float **out) {
    const int M = N == 1 ? 4 : PARTS == 1 ? 2 : 1;
    int64_t b = 0;
    for (; b + M <= blocks; b += M) tile(N, M, q, k + b * width * LANES, width, out, b * LANES);
    for (; b < blocks; b++) tile(N, 1, q, k + b * width * LANES, width, out, b * LANES);
}

/* out[i] (C vectors) += sum over s < count of weight[i][s] times the C vectors v[s], U of them in sums of their own. */
INLINE void mixed(const int N, const int C, const int U, float **weight, const float *v, int64_t stride, int64_t count,
                  float **out, int64_t at) {
    vec sum[16];
    UNROLLED
    for (int j = 0; j < N * C * U; j++) sum[j] = all(0);
    int64_t s = 0;
    for (; s + U <= count; s += U) {
        vec value[16];
        UNROLLED
        for (int j = 0; j < U * C; j++) value[j] = load(v + (s + j / C) * stride + at + j % C * WIDE);
        UNROLLED
        for (int j = 0; j < N * U * C; j++) sum[j] += weight[j / (U * C)][s + j / C % U] * value[j % (U * C)];
    }
    for (; s < count; s++)
        UNROLLED
        for (int j = 0; j < N * C; j++)
            sum[j / C * C * U + j % C] += weight[j / C][s] * load(v + s * stride + at + j % C * WIDE);
    UNROLLED
    for (int j = 0; j < N * C; j++) {
        const int first = j / C * C * U + j % C;
        vec total = sum[first];
        UNROLLED
        for (int u = 1; u < U; u++) total += sum[first + u * C];
        float *to = out[j / C] + at + j % C * WIDE;
        save(to, load(to) + total);
    }
}

/* `mixed` for rows of `width` numbers, a multiple of 16, as many at a time as there are registers for. */
INLINE void mix(const int N, float **weight, const float *v, int64_t width, int64_t count, float **out) {
    const int many = N == 1 || PARTS == 1; /* registers */
    int64_t at = 0;
    if (N == 1 && width <= 2 * LANES) {
        if (PARTS == 1 && width == 2 * LANES) mixed(N, 2, 4, weight, v, width, count, out, 0), at = width;
        for (; at < width; at += LANES) mixed(N, PARTS, 4, weight, v, width, count, out, at);
    }
    for (; many && at + 4 * LANES <= width; at += 4 * LANES) mixed(N, 4 * PARTS, 1, weight, v, width, count, out, at);
    for (; many && at + 2 * LANES <= width; at += 2 * LANES) mixed(N, 2 * PARTS, 1, weight, v, width, count, out, at);
    for (; at < width; at += LANES) mixed(N, PARTS, 1, weight, v, width, count, out, at);
}

static void scores1(const float **q, const float *k, int64_t width, int64_t blocks, float **out) {
    scores(1, q, k, width, blocks, out);
}
static void scores4(const float **q, const float *k, int64_t width, int64_t blocks, float **out) {
    scores(4, q, k, width, blocks, out);
}

/* Scores (16 lanes at a time, -infinity beyond what may be read) to weights, e^(x - top); their sum. */
INLINE float softmax(float *x, int64_t count) {
    vec most = load(x);
    for (int64_t i = WIDE; i < count; i += WIDE) most = larger(load(x + i), most);
    vec shift = all(max_of(most)), total[PARTS] = {};
    for (int64_t i = 0; i < count; i += LANES)
        UNROLLED
        for (int p = 0; p < PARTS; p++) {
            vec e = exp_(load(x + i + p * WIDE) - shift);
            save(x + i + p * WIDE, e);
            total[p] += e;
        }
    return sum_of(total);
}
