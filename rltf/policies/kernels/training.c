/* What a training step does between its matrix products, for float32 on one CPU thread: the root mean square norm, the
 * gated activation, self-attention with a learned bias, and the softmax of the head, forth and back, each in one pass
 * over memory where torch takes five to twelve.
 */
#include "vectors.h"

/* out = x / sqrt(mean(x^2) + eps) * scale: x and out (rows, width). */
void rms_norm(const float *x, const float *scale, float *out, float *inverse, int64_t rows, int64_t width, float eps) {
    for (int64_t row = 0; row < rows; row++, x += width, out += width) {
        vec squares = {};
        float rest = 0;
        int64_t i = 0;
        for (; i + LANES <= width; i += LANES) {
            vec part = *(const vec *)(x + i);
            squares += part * part;
        }
        for (; i < width; i++) rest += x[i] * x[i];
        const float factor = 1.0f / sqrtf((sum_of(squares) + rest) / (float)width + eps);
        if (inverse) inverse[row] = factor;
        for (i = 0; i + LANES <= width; i += LANES)
            *(vec *)(out + i) = *(const vec *)(x + i) * factor * *(const vec *)(scale + i);
        for (; i < width; i++) out[i] = x[i] * factor * scale[i];
    }
}

/* What flows back through `rms_norm`: dx = inverse * (g - xn * mean(g * xn)) with g = dout * scale, xn = x * inverse;
 * dscale (rows / CHUNK, width) is the sum of dout * xn over so many rows each, so that rounding does not pile up. */
#define CHUNK 64
void rms_norm_backward(const float *dout, const float *x, const float *scale, const float *inverse, float *dx,
                       float *dscale, int64_t rows, int64_t width) {
    for (int64_t row = 0; row < rows; row++, x += width, dout += width, dx += width) {
        const float factor = inverse[row];
        vec products = {};
        float rest = 0;
        int64_t i = 0;
        if (row && row % CHUNK == 0) dscale += width;
        for (; i + LANES <= width; i += LANES)
            products += *(const vec *)(dout + i) * *(const vec *)(scale + i) * *(const vec *)(x + i);
        for (; i < width; i++) rest += dout[i] * scale[i] * x[i];
        const float mean = (sum_of(products) + rest) / (float)width * factor * factor;
        for (i = 0; i + LANES <= width; i += LANES) {
            const vec d = *(const vec *)(dout + i), value = *(const vec *)(x + i);
            *(vec *)(dx + i) = (d * *(const vec *)(scale + i) - value * mean) * factor;
            *(vec *)(dscale + i) += d * value * factor;
        }
        for (; i < width; i++) {
            dx[i] = (dout[i] * scale[i] - x[i] * mean) * factor;
            dscale[i] += dout[i] * x[i] * factor;
        }
    }
}

/* 1 / (1 + e^-x). */
INLINE vec sigmoid(vec x) {
    const vec e = exp_(select_(x > all(0), -x, x)), inverse = 1.0f / (1.0f + e);
    return select_(x > all(0), inverse, e * inverse);
}

/* out = x * sigmoid(x) * y, for `count` numbers. */
void gate(const float *x, const float *y, float *out, int64_t count) {
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const vec a = *(const vec *)(x + i);
        *(vec *)(out + i) = a * sigmoid(a) * *(const vec *)(y + i);
    }
    for (; i < count; i++) out[i] = x[i] / (1.0f + expf(-x[i])) * y[i];
}

/* What flows back through `gate`. */
void gate_backward(const float *dout, const float *x, const float *y, float *dx, float *dy, int64_t count) {
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const vec d = *(const vec *)(dout + i), a = *(const vec *)(x + i), s = sigmoid(a);
        *(vec *)(dy + i) = d * a * s;
        *(vec *)(dx + i) = d * *(const vec *)(y + i) * s * (1.0f + a * (1.0f - s));
    }
    for (; i < count; i++) {
        const float s = 1.0f / (1.0f + expf(-x[i]));
        dy[i] = dout[i] * x[i] * s;
        dx[i] = dout[i] * y[i] * s * (1.0f + x[i] * (1.0f - s));
    }
}


/* Self-attention whose scores get a learned bias: T5's. q, k, v, out and their gradients (batch, length, heads, width), the
 * width a multiple of LANES; bias (batch or 1, heads, length, length), `bias_stride` numbers from one row of the batch to
 * the next; lse (batch, heads, length) is what backward wants. `causal`: nothing above the diagonal is read. */
typedef struct {
    const float *q, *k, *v, *bias;
    float *out, *lse;
    int64_t batch, heads, length, width, bias_stride, causal;
    float *scratch; /* `attention` (UP(length) * width + 4 * UP(length) + 4 * width),
                       `attention_backward` (2 * UP(length) * width + 2 * STRIPE * UP(length)) */
} SelfAttention;

#define STRIPE 64 /* queries whose weights lie in memory at once */

/* Rows of one head in blocks of 16 positions, the positions innermost. */
static void turn(const float *x, int64_t stride, int64_t length, int64_t width, float *out) {
    for (int64_t s = 0; s < UP(length); s += LANES)
        for (int64_t d = 0; d < width; d++, out += LANES)
            for (int64_t j = 0; j < LANES; j++) out[j] = s + j < length ? x[(s + j) * stride + d] : 0;
}

/* `mix` of n <= 4 rows of weights, or of columns that are `step` apart; not inlined, which would take seconds to compile. */
static void rows(int n, float **weight, const float *v, int64_t stride, int64_t width, int64_t count, float **out) {
    if (n == 4) mix(4, weight, 1, v, stride, width, count, out);
    else for (int i = 0; i < n; i++) mix(1, weight + i, 1, v, stride, width, count, out + i);
}
static void columns(int n, float **weight, int64_t step, const float *v, int64_t stride, int64_t width, int64_t count,
                    float **out) {
    if (n == 4) mix(4, weight, step, v, stride, width, count, out);
    else for (int i = 0; i < n; i++) mix(1, weight + i, step, v, stride, width, count, out + i);
}

/* out[i] = q[i] . k + bias[i], barred beyond what query i sees, for n <= 4 queries from `first`; the vectors to be read. */
static int64_t biased(const SelfAttention *a, int64_t first, int n, const float **q, const float *turned,
                      const float *bias, float **out) {
    const int64_t seen = UP(a->causal ? first + n : a->length);
    if (n == 4) scores4(q, turned, a->width, seen / LANES, out);
    else for (int i = 0; i < n; i++) scores1(q + i, turned, a->width, seen / LANES, out + i);
    for (int i = 0; i < n; i++) {
        const int64_t sees = a->causal ? first + i + 1 : a->length;
        const float *add = bias + (first + i) * a->length;
        int64_t s = 0;
        for (; s + LANES <= sees; s += LANES) *(vec *)(out[i] + s) += *(const vec *)(add + s);
        for (; s < sees; s++) out[i][s] += add[s];
        for (; s < seen; s++) out[i][s] = -INFINITY;
    }
    return seen;
}

void attention(const SelfAttention *a) {
    const int64_t stride = a->heads * a->width, length = a->length;
    float *turned = a->scratch, *score[4], *sum[4];
    for (int i = 0; i < 4; i++) {
        score[i] = turned + UP(length) * a->width + i * UP(length);
        sum[i] = turned + UP(length) * (a->width + 4) + i * a->width;
    }
    for (int64_t b = 0; b < a->batch; b++) {
        const float *read[] = {a->q, a->k, a->v};
        for (int i = 0; i < 3; i++) fetch(read[i] + b * length * stride, length * stride);
        for (int64_t h = 0; h < a->heads; h++) {
            const int64_t at = b * length * stride + h * a->width;
            const float *bias = a->bias + b * a->bias_stride + h * length * length;
            turn(a->k + at, stride, length, a->width, turned);
            for (int64_t first = 0; first < length; first += 4) {
                const int n = length - first < 4 ? (int)(length - first) : 4;
                const float *q[4];
                for (int i = 0; i < n; i++) q[i] = a->q + at + (first + i) * stride;
                const int64_t seen = biased(a, first, n, q, turned, bias, score);
                const int64_t count = seen < length ? seen : length;
                float total[4], top;
                for (int i = 0; i < n; i++) {
                    total[i] = softmax(score[i], seen, &top);
                    a->lse[(b * a->heads + h) * length + first + i] = top + logf(total[i]);
                }
                memset(sum[0], 0, 4 * a->width * sizeof(float));
                rows(n, score, a->v + at, stride, a->width, count, sum);
                for (int i = 0; i < n; i++)
                    for (int64_t d = 0; d < a->width; d += LANES)
                        *(vec *)(a->out + at + (first + i) * stride + d) = *(vec *)(sum[i] + d) * (1.0f / total[i]);
            }
        }
    }
}

/* dk[j] and dv[j] += the stripe's queries times what they give to position j: weight and dscore (count, room). */
static void to_keys(int n, const SelfAttention *a, int64_t position, int64_t from, int64_t count, float *weight,
                    float *dscore, int64_t room, const float *q, const float *dout, float *dk, float *dv) {
    const int64_t stride = a->heads * a->width;
    float *given[4], *flow[4], *to_k[4], *to_v[4];
    for (int i = 0; i < n; i++) {
        given[i] = weight + from * room + position + i, flow[i] = dscore + from * room + position + i;
        to_k[i] = dk + (position + i) * stride, to_v[i] = dv + (position + i) * stride;
    }
    columns(n, given, room, dout + from * stride, stride, a->width, count - from, to_v);
    columns(n, flow, room, q + from * stride, stride, a->width, count - from, to_k);
}

/* What flows back through `attention`; dbias, zeros before, may be NULL. */
void attention_backward(const SelfAttention *a, const float *dout, float *dq, float *dk, float *dv, float *dbias) {
    const int64_t stride = a->heads * a->width, length = a->length, room = UP(length);
    float *turned_k = a->scratch, *turned_v = turned_k + room * a->width;
    float *weight = turned_v + room * a->width, *dscore = weight + STRIPE * room;
    for (int64_t b = 0; b < a->batch; b++) {
        const float *read_[] = {a->q, a->k, a->v, a->out, dout};
        float *filled[] = {dq, dk, dv};
        for (int i = 0; i < 5; i++) fetch(read_[i] + b * length * stride, length * stride);
        for (int i = 0; i < 3; i++) memset(filled[i] + b * length * stride, 0, length * stride * sizeof(float));
        for (int64_t h = 0; h < a->heads; h++) {
            const int64_t at = b * length * stride + h * a->width, of_bias = b * a->bias_stride + h * length * length;
            turn(a->k + at, stride, length, a->width, turned_k);
            turn(a->v + at, stride, length, a->width, turned_v);
            for (int64_t start = 0; start < length; start += STRIPE) {
                const int64_t count = length - start < STRIPE ? length - start : STRIPE;
                const int64_t read = a->causal ? start + count : length; /* positions that the stripe sees */
                for (int64_t first = start; first < start + count; first += 4) {
                    const int n = start + count - first < 4 ? (int)(start + count - first) : 4;
                    const float *q[4], *d[4];
                    float *p[4], *ds[4], *to_q[4];
                    for (int i = 0; i < n; i++) {
                        const int64_t row = at + (first + i) * stride;
                        q[i] = a->q + row, d[i] = dout + row, to_q[i] = dq + row;
                        p[i] = weight + (first - start + i) * room, ds[i] = dscore + (first - start + i) * room;
                    }
                    const int64_t seen = biased(a, first, n, q, turned_k, a->bias + of_bias, p);
                    if (n == 4) scores4(d, turned_v, a->width, seen / LANES, ds);
                    else for (int i = 0; i < n; i++) scores1(d + i, turned_v, a->width, seen / LANES, ds + i);
                    for (int i = 0; i < n; i++) {
                        const float *out = a->out + at + (first + i) * stride;
                        const float lse = a->lse[(b * a->heads + h) * length + first + i];
                        vec products = {};
                        for (int64_t w = 0; w < a->width; w += LANES)
                            products += *(const vec *)(d[i] + w) * *(const vec *)(out + w);
                        const float mean = sum_of(products);
                        for (int64_t s = 0; s < seen; s += LANES) {
                            const vec share = exp_(*(vec *)(p[i] + s) - lse);
                            *(vec *)(p[i] + s) = share;
                            *(vec *)(ds[i] + s) = share * (*(vec *)(ds[i] + s) - mean);
                        }
                        const int64_t sees = a->causal ? first + i + 1 : length;
                        float *add = dbias ? dbias + of_bias + (first + i) * length : NULL;
                        int64_t s = 0;
                        for (; add && s + LANES <= sees; s += LANES) *(vec *)(add + s) += *(vec *)(ds[i] + s);
                        for (; add && s < sees; s++) add[s] += ds[i][s];
                        for (s = seen; s < UP(read); s += LANES) /* the stripe's later queries see it */
                            *(vec *)(p[i] + s) = *(vec *)(ds[i] + s) = (vec){};
                    }
                    const int64_t keys = seen < length ? seen : length;
                    rows(n, ds, a->k + at, stride, a->width, keys, to_q);
                }
                for (int64_t j = 0; j < read; j += 4) {
                    const int64_t from = a->causal && j > start ? j - start : 0;
                    const float *q = a->q + at + start * stride, *d = dout + at + start * stride;
                    const int n = read - j < 4 ? (int)(read - j) : 4;
                    to_keys(n, a, j, from, count, weight, dscore, room, q, d, dk + at, dv + at);
                }
            }
        }
    }
}

/* Of each row of x (rows, width): lse = log(sum(e^x)), and, unless it is NULL, the entropy of its softmax. */
void logsumexp(const float *x, float *lse, float *entropy, int64_t rows, int64_t width) {
    for (int64_t row = 0; row < rows; row++, x += width) {
        vec most = all(-INFINITY), totals = {}, products = {};
        int64_t i = 0;
        for (; i + LANES <= width; i += LANES) most = larger(*(const vec *)(x + i), most);
        float top = max_of(most), total = 0, product = 0;
        for (int64_t j = i; j < width; j++) top = x[j] > top ? x[j] : top;
        for (int64_t j = i; j < width; j++) {
            const float e = expf(x[j] - top);
            total += e, product += e * (x[j] - top);
        }
        for (i = 0; i + LANES <= width; i += LANES) {
            const vec lower = *(const vec *)(x + i) - top, e = exp_(lower);
            totals += e, products += e * lower;
        }
        total += sum_of(totals);
        lse[row] = top + logf(total);
        if (entropy) entropy[row] = logf(total) - (product + sum_of(products)) / total;
    }
}

/* out = e^(x - lse): x and out (rows, width), and may be the same. */
void probabilities(const float *x, const float *lse, float *out, int64_t rows, int64_t width) {
    for (int64_t row = 0; row < rows; row++, x += width, out += width) {
        int64_t i = 0;
        for (; i + LANES <= width; i += LANES) *(vec *)(out + i) = exp_(*(const vec *)(x + i) - lse[row]);
        for (; i < width; i++) out[i] = expf(x[i] - lse[row]);
    }
}
