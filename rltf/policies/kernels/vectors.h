/* Vectors are GCC's: 16 floats, which the compiler maps to what the machine has. */
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
#define UNROLLED _Pragma("GCC unroll 4") /* for sums to stay in registers */
#define INLINE static inline __attribute__((always_inline))
typedef float vec __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(64), aligned(4), may_alias));

INLINE vec all(float x) { return x - (vec){}; }
INLINE vec select_(ivec mask, vec yes, vec no) { return (vec)((mask & (ivec)yes) | (~mask & (ivec)no)); }
INLINE vec larger(vec a, vec b) { return select_(a > b, a, b); }

INLINE float sum_of(vec x) {
    float total = 0;
    for (int i = 0; i < LANES; i++) total += x[i];
    return total;
}

INLINE float max_of(vec x) {
    float most = x[0];
    for (int i = 1; i < LANES; i++) most = x[i] > most ? x[i] : most;
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

/* out[i][b * 16 ...] = q[i] . k[b], for N queries and M blocks at once: N * M independent sums hide the latency. */
INLINE void tile(const int N, const int M, const float **q, const float *k, int64_t width, float **out, int64_t at) {
    vec sum[4][4] = {};
    for (int64_t d = 0; d < width; d++)
        UNROLLED
        for (int m = 0; m < M; m++) {
            vec key = *(const vec *)(k + (m * width + d) * LANES);
            UNROLLED
            for (int i = 0; i < N; i++) sum[i][m] += q[i][d] * key;
        }
    UNROLLED
    for (int i = 0; i < N; i++)
        UNROLLED
        for (int m = 0; m < M; m++) *(vec *)(out[i] + at + m * LANES) = sum[i][m];
}

INLINE void scores(const int N, const float **q, const float *k, int64_t width, int64_t blocks, float **out) {
    const int M = N == 1 ? 4 : N == 2 ? 4 : 2;
    int64_t b = 0;
    for (; b + M <= blocks; b += M) tile(N, M, q, k + b * width * LANES, width, out, b * LANES);
    for (; b < blocks; b++) tile(N, 1, q, k + b * width * LANES, width, out, b * LANES);
}

/* out[i] (P vectors) += sum over s < count of weight[i][s] times the P vectors v[s]. */
INLINE void mixed(const int N, const int P, float **weight, const float *v, int64_t count, float **out) {
    const int64_t stride = P * LANES;
    const int unroll = N == 1 && P <= 2 ? 4 : 1;
    vec sum[4][4][P];
    memset(sum, 0, sizeof sum);
    int64_t s = 0;
    for (; s + unroll <= count; s += unroll)
        UNROLLED
        for (int u = 0; u < unroll; u++)
            UNROLLED
            for (int p = 0; p < P; p++) {
                vec value = *(const vec *)(v + (s + u) * stride + p * LANES);
                UNROLLED
                for (int i = 0; i < N; i++) sum[i][u][p] += weight[i][s + u] * value;
            }
    for (; s < count; s++)
        UNROLLED
        for (int p = 0; p < P; p++) {
            vec value = *(const vec *)(v + s * stride + p * LANES);
            UNROLLED
            for (int i = 0; i < N; i++) sum[i][0][p] += weight[i][s] * value;
        }
    UNROLLED
    for (int i = 0; i < N; i++)
        UNROLLED
        for (int p = 0; p < P; p++) {
            vec total = sum[i][0][p];
            for (int u = 1; u < unroll; u++) total += sum[i][u][p];
            *(vec *)(out[i] + p * LANES) += total;
        }
}

/* `mixed` for rows of `width` numbers, a multiple of LANES. */
INLINE void mix(const int N, float **weight, const float *v, int64_t width, int64_t count, float **out) {
    switch (width / LANES) {
        case 1: mixed(N, 1, weight, v, count, out); break;
        case 2: mixed(N, 2, weight, v, count, out); break;
        case 4: mixed(N, 4, weight, v, count, out); break;
        default: /* one vector of the width at a time */
            for (int64_t s = 0; s < count; s++)
                for (int64_t d = 0; d < width; d += LANES)
                    for (int i = 0; i < N; i++)
                        *(vec *)(out[i] + d) += weight[i][s] * *(const vec *)(v + s * width + d);
    }
}

static void scores1(const float **q, const float *k, int64_t width, int64_t blocks, float **out) {
    scores(1, q, k, width, blocks, out);
}
static void scores4(const float **q, const float *k, int64_t width, int64_t blocks, float **out) {
    scores(4, q, k, width, blocks, out);
}

/* Scores (whole vectors, -infinity beyond what may be read) to weights, e^(x - top); their sum. */
INLINE float softmax(float *x, int64_t count) {
    vec most = *(vec *)x;
    for (int64_t i = LANES; i < count; i += LANES) most = larger(*(vec *)(x + i), most);
    vec shift = all(max_of(most)), total = {};
    for (int64_t i = 0; i < count; i += LANES) {
        vec e = exp_(*(vec *)(x + i) - shift);
        *(vec *)(x + i) = e;
        total += e;
    }
    return sum_of(total);
}

