/* Products of a few rows with a large weight, read where it lies: (outputs, inputs), as torch keeps it.
 *
 * For 4 to 64 rows, torch's product (MKL, AVX2) takes 1.1 to 2.4 times as long. Here the rows are packed, 16 side by side,
 * so that each number of the weight is read once and multiplies whole vectors; and the weight's next outputs are fetched
 * while the present ones are summed up. Every sum runs over the inputs in their order, so a row's result does not depend
 * on how many rows there are.
 */
#pragma once
#include "vectors.h"

#define GROUP LANES /* rows side by side: with 6 outputs, they take 12 of AVX2's 16 registers */
#define STRIP 288   /* inputs at once: a group's are 18 KiB and stay in the nearest cache */
#define OUTPUTS 768 /* outputs at once, a multiple of 6: a group's sums are 48 KiB and stay in the next cache */

/* sums[m] (16) += x (count, 16) times w[m] (count), for M outputs and the rows of P vectors; `more`: after earlier
 * inputs. */
INLINE void product(const int P, const int M, const float *x, const float *w, int64_t width, int64_t count, int more,
                    float *sums) {
    vec sum[24];
    UNROLLED
    for (int j = 0; j < M * P; j++) sum[j] = more ? load(sums + j / P * GROUP + j % P * WIDE) : all(0);
    int64_t d = 0;
    for (; d + LANES <= count; d += LANES) {
        UNROLLED
        for (int m = 0; m < M; m++) __builtin_prefetch(w + (M + m) * width + d, 0, 3);
        UNROLLED
        for (int e = 0; e < LANES; e++)
            UNROLLED
            for (int j = 0; j < M * P; j++)
                sum[j] += w[j / P * width + d + e] * load(x + (d + e) * GROUP + j % P * WIDE);
    }
    for (; d < count; d++)
        UNROLLED
        for (int j = 0; j < M * P; j++) sum[j] += w[j / P * width + d] * load(x + d * GROUP + j % P * WIDE);
    UNROLLED
    for (int j = 0; j < M * P; j++) save(sums + j / P * GROUP + j % P * WIDE, sum[j]);
}

typedef void (*Product)(const float *, const float *, int64_t, int64_t, int, float *);
/* H 1: up to 8 rows, half of the vectors; H 2: up to 16. */
#define PRODUCT(H, M)                                                                                                   \
    static void product##H##M(const float *x, const float *w, int64_t width, int64_t count, int more, float *sums) {    \
        product((PARTS + 2 - H) / (3 - H), M, x, w, width, count, more, sums);                                                                  \
    }
PRODUCT(1, 1) PRODUCT(1, 4) PRODUCT(1, 6) PRODUCT(2, 1) PRODUCT(2, 4) PRODUCT(2, 6)

/* out (rows, outputs) = x (rows, stride) . weight (outputs, width) + base, whose rows are base_stride apart (0: all have
 * one; NULL: there is none). scratch: 16 * (width + 768) for each 16 rows or part of them. */
void project(const float *x, int64_t stride, const float *weight, const float *base, int64_t base_stride, float *out,
             int64_t rows, int64_t width, int64_t outputs, float *scratch) {
    static const Product products[2][7] = {{[1] = product11, [4] = product14, [6] = product16},
                                           {[1] = product21, [4] = product24, [6] = product26}};
    const int64_t groups = (rows + GROUP - 1) / GROUP;
    float *packed = scratch, *sums = scratch + groups * width * GROUP;
    memset(packed + (groups - 1) * width * GROUP, 0, width * GROUP * sizeof(float));
    for (int64_t row = 0; row < rows; row++) {
        float *to = packed + row / GROUP * GROUP * width + row % GROUP;
        for (int64_t d = 0; d < width; d++) to[d * GROUP] = x[row * stride + d];
    }
    for (int64_t first = 0; first < outputs; first += OUTPUTS) {
        const int64_t end = outputs < first + OUTPUTS ? outputs : first + OUTPUTS;
        for (int64_t d = 0; d < width; d += STRIP) {
            const int64_t count = width - d < STRIP ? width - d : STRIP;
            for (int64_t o = first, m; o < end; o += m) {
                const int64_t left = end - o;
                m = left % 6 == 0 ? 6 : left % 2 || left < 4 ? 1 : 4;
                for (int64_t g = 0; g < groups; g++)
                    products[rows - g * GROUP > 8][m](packed + (g * width + d) * GROUP, weight + o * width + d, width,
                                                      count, d > 0, sums + (g * OUTPUTS + o - first) * GROUP);
            }
        }
        for (int64_t row = 0; row < rows; row++) {
            const float *sum = sums + row / GROUP * GROUP * OUTPUTS + row % GROUP;
            for (int64_t o = first; o < end; o++)
                out[row * outputs + o] = sum[(o - first) * GROUP] + (base ? base[row * base_stride + o] : 0);
        }
    }
}
