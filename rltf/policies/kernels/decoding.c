/* What a decode step does between its matrix products, for float32 on one CPU thread: norms, rotary positions, attention
 * over rows of different lengths and the prompts they share, and the draw of a token. A kernel of torch costs three to
 * five microseconds to call, and a small model's step is a hundred of them; here it is a dozen. The products with large
 * weights are in projection.h.
 *
 * Keys are stored in blocks of 16 positions with the positions innermost, so that a score is a sum of whole vectors;
 * values have the width innermost, padded to whole vectors.
 */
#include "projection.h"
#include "vectors.h"

/* out = x / sqrt(mean(x^2) + eps) * scale: x and out (rows, width). */
void rms_norm(const float *x, const float *scale, float *out, int64_t rows, int64_t width, float eps) {
    for (int64_t row = 0; row < rows; row++, x += width, out += width) {
        vec squares[PARTS] = {};
        float rest = 0;
        int64_t i = 0;
        for (; i + LANES <= width; i += LANES)
            UNROLLED
            for (int p = 0; p < PARTS; p++) squares[p] += load(x + i + p * WIDE) * load(x + i + p * WIDE);
        for (; i < width; i++) rest += x[i] * x[i];
        const float factor = 1.0f / sqrtf((sum_of(squares) + rest) / (float)width + eps);
        for (i = 0; i + WIDE <= width; i += WIDE) save(out + i, load(x + i) * factor * load(scale + i));
        for (; i < width; i++) out[i] = x[i] * factor * scale[i];
    }
}

/* `rms_norm` in place, of `parts` successive pieces of `width` numbers at the start of each row: x (rows, stride). */
void rms_norm_parts(float *x, int64_t stride, const float *scale, int64_t rows, int64_t parts, int64_t width, float eps) {
    for (int64_t row = 0; row < rows; row++, x += stride) rms_norm(x, scale, x, parts, width, eps);
}

/* Keys and values of sequences: k (layers, sequences, heads, capacity / 16, width, 16),
 * v (layers, sequences, heads, capacity, padded). */
typedef struct {
    float *k, *v;
    int64_t sequences, heads, capacity, width, padded;
} KVStore;

INLINE float *keys(const KVStore *s, int64_t layer, int64_t sequence, int64_t head) {
    return s->k + ((layer * s->sequences + sequence) * s->heads + head) * s->capacity * s->width;
}

INLINE float *values(const KVStore *s, int64_t layer, int64_t sequence, int64_t head) {
    return s->v + ((layer * s->sequences + sequence) * s->heads + head) * s->capacity * s->padded;
}

typedef struct {
    KVStore row_kv, prompt_kv; /* k NULL: not read */
    const int64_t *column;   /* of each row: where its present token is stored, which is its number of earlier tokens */
    const uint8_t *live;     /* 0: the row has ended, and reads and writes nothing */
    const int64_t *order;    /* rows, those of a prompt side by side */
    const int64_t *prompt;   /* of each row */
    const int64_t *length;   /* of each prompt */
    const float *bias;       /* (heads, biases + 16), added to a row's own scores: the last of `biases` at distance 0 */
    int64_t biases;
    int64_t bias_stride;     /* from the bias of a layer to that of the next; 0: all have one */
    const int64_t *window;   /* of each layer: positions that a token sees, its own included; NULL: all */
    float cap;               /* scores s become cap * tanh(s / cap); 0: they stay */
    int64_t group;           /* query heads to a head of keys */
    int64_t prefetch;        /* whether the rows' own memory is too large for near caches */
    float *scratch;          /* 4 * (prompt_kv.capacity + row_kv.capacity + 16 + padded) */
} Attention;

/* Stores the present token of a row, and says how many tokens it then has. */
INLINE int64_t store(const KVStore *s, int64_t layer, int64_t row, int64_t at, const float *k, const float *v) {
    for (int64_t h = 0; h < s->heads; h++) {
        float *key = keys(s, layer, row, h) + at / LANES * LANES * s->width + at % LANES;
        for (int64_t d = 0; d < s->width; d++) key[d * LANES] = k[h * s->width + d];
        memcpy(values(s, layer, row, h) + at * s->padded, v + h * s->width, s->width * sizeof(float));
    }
    return at + 1;
}

static void soft_cap(float *score, int64_t count, float cap) {
    for (int64_t s = 0; s < count; s++) score[s] = cap * tanhf(score[s] / cap);
}

static void context1(float **weight, const float *v, int64_t padded, int64_t count, float **out) {
    mix(1, weight, v, padded, count, out);
}
static void context4(float **weight, const float *v, int64_t padded, int64_t count, float **out) {
    mix(4, weight, v, padded, count, out);
}

/* One softmax over the prompt's positions and the row's own, for up to 4 queries that share both or the prompt alone. */
INLINE void attend_(const Attention *a, int64_t layer, int64_t head, int n, const int64_t *row, const float **q,
                    float **result) {
    const KVStore *any = a->prompt_kv.k ? &a->prompt_kv : &a->row_kv;
    const int64_t prompt_length = a->prompt_kv.k ? a->length[a->prompt[row[0]]] : 0, row_at = UP(prompt_length);
    const int64_t room = (a->prompt_kv.k ? a->prompt_kv.capacity : 0) + (a->row_kv.k ? a->row_kv.capacity : 0) + LANES;
    float *score[4], *sum[4], total[4];
    for (int i = 0; i < n; i++) {
        score[i] = a->scratch + i * (room + any->padded);
        sum[i] = score[i] + room;
        memset(sum[i], 0, any->padded * sizeof(float));
    }
    if (prompt_length) {
        const float *k = keys(&a->prompt_kv, layer, a->prompt[row[0]], head);
        if (n == 4) scores4(q, k, any->width, row_at / LANES, score);
        else for (int i = 0; i < n; i++) scores1(q + i, k, any->width, row_at / LANES, score + i);
        for (int i = 0; i < n; i++) {
            if (a->cap) soft_cap(score[i], prompt_length, a->cap);
            for (int64_t s = prompt_length; s < row_at; s++) score[i][s] = -INFINITY;
        }
    }
    for (int i = 0; i < n; i++) {
        int64_t row_length = 0;
        if (a->row_kv.k) {
            row_length = a->column[row[i]] + 1;
            float *row_score = score[i] + row_at;
            const float *k = keys(&a->row_kv, layer, row[i], head);
            if (a->prefetch) fetch(values(&a->row_kv, layer, row[i], head), row_length * any->padded);
            scores1(q + i, k, any->width, UP(row_length) / LANES, &row_score);
            if (a->prefetch) /* of the next head or row */
                fetch(k + a->row_kv.capacity * any->width, UP(row_length) * any->width);
            if (a->cap) soft_cap(row_score, row_length, a->cap);
            if (a->bias) {
                const float *bias = a->bias + layer * a->bias_stride;
                bias += head * (a->biases + LANES) + a->biases - row_length;
                for (int64_t s = 0; s < row_length; s += WIDE) save(row_score + s, load(row_score + s) + load(bias + s));
            }
            for (int64_t s = row_length; s < UP(row_length); s++) row_score[s] = -INFINITY;
            if (a->window) {
                const int64_t unseen = prompt_length + row_length - a->window[layer];
                for (int64_t s = 0; s < unseen && s < prompt_length; s++) score[i][s] = -INFINITY;
                for (int64_t s = 0; s < unseen - prompt_length; s++) row_score[s] = -INFINITY;
            }
        }
        total[i] = softmax(score[i], row_at + UP(row_length));
    }
    if (prompt_length) {
        const float *v = values(&a->prompt_kv, layer, a->prompt[row[0]], head);
        if (n == 4) context4(score, v, any->padded, prompt_length, sum);
        else for (int i = 0; i < n; i++) context1(score + i, v, any->padded, prompt_length, sum + i);
    }
    for (int i = 0; i < n; i++) {
        if (a->row_kv.k) {
            float *row_score = score[i] + row_at;
            context1(&row_score, values(&a->row_kv, layer, row[i], head), any->padded, a->column[row[i]] + 1, sum + i);
        }
        const float inverse = 1.0f / total[i];
        for (int64_t d = 0; d < any->width; d++) result[i][d] = sum[i][d] * inverse;
    }
}

/* Attention of the present token of each row.
 *
 * x (rows, stride): queries (heads * group, width), and, where there are own keys, then the present token's keys and
 * values (heads, width), which are stored first; out (rows, heads * group * width). */
void attend(const Attention *a, int64_t layer, const float *x, int64_t stride, float *out, int64_t rows) {
    const KVStore *any = a->prompt_kv.k ? &a->prompt_kv : &a->row_kv;
    const int64_t heads = any->heads, width = any->width, queries = heads * a->group * width;
    for (int64_t row = 0; row < rows; row++) {
        if (!a->live[row]) memset(out + row * queries, 0, queries * sizeof(float));
        else if (a->row_kv.k) {
            const float *k = x + row * stride + queries;
            store(&a->row_kv, layer, row, a->column[row], k, k + heads * width);
        }
    }
    for (int64_t first = 0, last; first < rows; first = last) {
        const int64_t prompt = a->prompt_kv.k ? a->prompt[a->order[first]] : 0;
        for (last = first + 1; last < rows && a->prompt_kv.k && a->prompt[a->order[last]] == prompt;) last++;
        for (int64_t head = 0; head < heads; head++) {
            const float *q[4];
            float *result[4];
            int64_t row[4];
            int n = 0;
            for (int64_t i = first; i < last; i++) {
                const int64_t r = a->order[i];
                if (!a->live[r]) continue;
                for (int64_t g = 0; g < a->group; g++) {
                    const int64_t at = (head * a->group + g) * width;
                    row[n] = r, q[n] = x + r * stride + at, result[n++] = out + r * queries + at;
                    if (n == 4) attend_(a, layer, head, 4, row, q, result), n = 0;
                }
            }
            if (n) attend_(a, layer, head, n, row, q, result);
        }
    }
}

/* Turns pairs of neighbouring dimensions, the first 2 * pairs of each of `heads` heads, in place: x (rows, stride),
 * turn (rows, pairs, 2) cosine and sine. */
void rotate(float *x, int64_t stride, const float *turn, int64_t rows, int64_t heads, int64_t width, int64_t pairs) {
    for (int64_t row = 0; row < rows; row++, x += stride, turn += 2 * pairs)
        for (int64_t h = 0; h < heads; h++) {
            float *pair = x + h * width;
            for (int64_t j = 0; j < 2 * pairs; j += 2) {
                const float re = pair[j], im = pair[j + 1], c = turn[j], s = turn[j + 1];
                pair[j] = re * c - im * s, pair[j + 1] = re * s + im * c;
            }
        }
}

#define STRETCH 1024 /* tokens whose mass is summed before their place is looked for */

/* The token of each row: the first whose cumulated probability exceeds the row's number, or for rows in `greedy` the most
 * probable one (of equal ones the first), whose log-prob is that at temperature 1.
 * logits (rows, vocabulary); scratch (vocabulary + 16 + vocabulary / STRETCH + 1). */
void sample_tokens(const float *logits, const float *number, int64_t number_stride, const uint8_t *greedy,
                   float temperature, int64_t rows, int64_t vocabulary, float *scratch, int64_t *token,
                   float *logprob) {
    float *mass = scratch, *stretch = scratch + UP(vocabulary);
    for (int64_t row = 0; row < rows; row++, logits += vocabulary) {
        const float scale = greedy[row] ? 1.0f : 1.0f / temperature;
        vec most = all(-INFINITY);
        int64_t i = 0;
        for (; i + WIDE <= vocabulary; i += WIDE) most = larger(load(logits + i), most);
        float top = max_of(most);
        for (; i < vocabulary; i++) top = logits[i] > top ? logits[i] : top;
        for (i = 0; i + WIDE <= vocabulary; i += WIDE) save(mass + i, exp_((load(logits + i) - top) * scale));
        for (; i < UP(vocabulary); i += WIDE) {
            vec part = all(-INFINITY);
            for (int64_t j = i; j < vocabulary && j < i + WIDE; j++) part[j - i] = logits[j] - top;
            save(mass + i, exp_(part * scale));
        }
        double total = 0;
        for (int64_t s = 0; s * STRETCH < vocabulary; s++) {
            vec sum[PARTS] = {};
            const int64_t end = UP(vocabulary) < (s + 1) * STRETCH ? UP(vocabulary) : (s + 1) * STRETCH;
            for (i = s * STRETCH; i < end; i += LANES)
                UNROLLED
                for (int p = 0; p < PARTS; p++) sum[p] += load(mass + i + p * WIDE);
            total += stretch[s] = sum_of(sum);
        }
        int64_t choice = 0;
        if (greedy[row]) {
            while (!(logits[choice] == top) && choice < vocabulary - 1) choice++;
        } else {
            const double target = (double)number[row * number_stride] * total;
            double cumulated = 0;
            int64_t s = 0;
            while ((s + 1) * STRETCH < vocabulary && cumulated + stretch[s] <= target) cumulated += stretch[s++];
            const int64_t end = vocabulary < (s + 1) * STRETCH ? vocabulary : (s + 1) * STRETCH;
            /* Sums in another order can fall short of the stretch's: then it is its last token of any mass. */
            for (i = s * STRETCH; i < end; i++) {
                if (mass[i] > 0) choice = i;
                if ((cumulated += mass[i]) > target && mass[i] > 0) break;
            }
        }
        token[row] = choice;
        logprob[row] = (float)((double)((logits[choice] - top) * scale) - log(total));
    }
}
