/* Norms and activations, row by row: part of operations.h. */

enum { ROWS_AT_ONCE = 8 };

typedef struct {
    const float *values, *weight, *bias;
    float *out;
    int tokens, width, kind;
    float epsilon;
} row_job;

INLINE int last_row(const row_job *j, int chunk) {
    return least(j->tokens, (chunk + 1) * ROWS_AT_ONCE);
}

static void rms_norm_rows(void *job, int chunk, int thread) {
    (void)thread;
    const row_job *j = job;
    for (int t = chunk * ROWS_AT_ONCE; t < last_row(j, chunk); t++) {
        const float *from = j->values + (size_t)t * j->width;
        float *to = j->out + (size_t)t * j->width;
        lanes sum = lanes_set(0.0f);
        for (int i = 0; i < j->width; i += 16) {
            const lanes x = load_some(from + i, j->width - i);
            sum = lanes_fma(x, x, sum);
        }
        const float mean = lanes_sum(sum) / (float)j->width;
        const lanes scale = lanes_set(1.0f / sqrtf(mean + j->epsilon));
        for (int i = 0; i < j->width; i += 16) {
            const lanes x = lanes_mul(load_some(from + i, j->width - i), scale);
            store_some(to + i, lanes_mul(x, load_some(j->weight + i, j->width - i)), j->width - i);
        }
    }
}

static void layer_norm_rows(void *job, int chunk, int thread) {
    (void)thread;
    const row_job *j = job;
    for (int t = chunk * ROWS_AT_ONCE; t < last_row(j, chunk); t++) {
        const float *from = j->values + (size_t)t * j->width;
        float *to = j->out + (size_t)t * j->width;
        lanes sum = lanes_set(0.0f);
        for (int i = 0; i < j->width; i += 16)
            sum = lanes_add(sum, load_some(from + i, j->width - i));
        const lanes mean = lanes_set(lanes_sum(sum) / (float)j->width);
        lanes squares = lanes_set(0.0f);
        for (int i = 0; i < j->width; i += 16) {
            lanes x = lanes_sub(load_some(from + i, j->width - i), mean);
            if (j->width - i < 16) { /* what is not there is no distance from the mean */
                float all[16];
                lanes_store(all, x);
                for (int k = j->width - i; k < 16; k++) all[k] = 0.0f;
                x = lanes_load(all);
            }
            squares = lanes_fma(x, x, squares);
        }
        const float variance = lanes_sum(squares) / (float)j->width;
        const lanes scale = lanes_set(1.0f / sqrtf(variance + j->epsilon));
        for (int i = 0; i < j->width; i += 16) {
            const lanes x =
                lanes_mul(lanes_sub(load_some(from + i, j->width - i), mean), scale);
            store_some(to + i,
                       lanes_fma(x, load_some(j->weight + i, j->width - i),
                                 load_some(j->bias + i, j->width - i)),
                       j->width - i);
        }
    }
}

/* x / (1 + e^-y): for y = x SiLU, for 1.702 x the quick form of GELU, and so on. */
INLINE lanes sigmoid_times(lanes x, lanes y) {
    const lanes one = lanes_set(1.0f);
    return lanes_div(x, lanes_add(one, lanes_exp(lanes_sub(lanes_set(0.0f), y))));
}

static void gate_rows(void *job, int chunk, int thread) {
    (void)thread;
    const row_job *j = job;
    for (int t = chunk * ROWS_AT_ONCE; t < last_row(j, chunk); t++) {
        const float *gates = j->values + (size_t)t * 2 * j->width, *others = gates + j->width;
        float *to = j->out + (size_t)t * j->width;
        for (int i = 0; i < j->width; i += 16) {
            const lanes x = load_some(gates + i, j->width - i);
            const lanes y = load_some(others + i, j->width - i);
            store_some(to + i, lanes_mul(sigmoid_times(x, x), y), j->width - i);
        }
    }
}

/* Abramowitz and Stegun 7.1.26: within 1.5e-7. */
INLINE lanes gelu_erf(lanes x) {
    const lanes one = lanes_set(1.0f), size = lanes_abs(lanes_mul(x, lanes_set(0.70710678f)));
    const lanes t = lanes_div(one, lanes_fma(size, lanes_set(0.3275911f), one));
    lanes p = lanes_set(1.061405429f);
    p = lanes_fma(p, t, lanes_set(-1.453152027f));
    p = lanes_fma(p, t, lanes_set(1.421413741f));
    p = lanes_fma(p, t, lanes_set(-0.284496736f));
    p = lanes_mul(lanes_fma(p, t, lanes_set(0.254829592f)), t);
    const lanes rest = lanes_mul(p, lanes_exp(lanes_sub(lanes_set(0.0f), lanes_mul(size, size))));
    /* x Φ(x) = (x + |x|) / 2 - |x| rest / 2: for both signs */
    const lanes magnitude = lanes_mul(lanes_abs(x), lanes_set(0.5f));
    const lanes positive = lanes_fma(x, lanes_set(0.5f), magnitude);
    return lanes_sub(positive, lanes_mul(magnitude, rest));
}

static void activate_rows(void *job, int chunk, int thread) {
    (void)thread;
    const row_job *j = job;
    for (int t = chunk * ROWS_AT_ONCE; t < last_row(j, chunk); t++) {
        float *row = j->out + (size_t)t * j->width;
        for (int i = 0; i < j->width; i += 16) {
            lanes x = load_some(row + i, j->width - i);
            if (j->kind == QUICK_GELU) {
                x = sigmoid_times(x, lanes_mul(x, lanes_set(1.702f)));
            } else if (j->kind == GELU_TANH) {
                const lanes cube = lanes_mul(lanes_mul(x, x), x);
                const lanes inner = lanes_fma(cube, lanes_set(0.044715f), x);
                x = sigmoid_times(x, lanes_mul(inner, lanes_set(2.0f * 0.79788456f)));
            } else {
                x = gelu_erf(x);
            }
            store_some(row + i, x, j->width - i);
        }
    }
}

static int row_by_row(context *c, pool_work work, row_job job) {
    pool_run(c->threads, work, &job, ceiling(job.tokens, ROWS_AT_ONCE));
    return 0;
}
static int rms_norm(context *c, const float *values, int tokens, int width, const float *weight,
                    float epsilon, float *out) {
    return row_by_row(c, rms_norm_rows, (row_job){.values = values, .weight = weight, .out = out,
                      .tokens = tokens, .width = width, .epsilon = epsilon});
}
static int layer_norm(context *c, const float *values, int tokens, int width, const float *weight,
                      const float *bias, float epsilon, float *out) {
    return row_by_row(c, layer_norm_rows, (row_job){.values = values, .weight = weight,
                      .bias = bias, .out = out, .tokens = tokens, .width = width,
                      .epsilon = epsilon});
}
static int gate(context *c, const float *values, int tokens, int width, float *out) {
    return row_by_row(c, gate_rows, (row_job){.values = values, .out = out, .tokens = tokens,
                      .width = width});
}
static int activate(context *c, float *values, int tokens, int width, int kind) {
    return row_by_row(c, activate_rows, (row_job){.out = values, .tokens = tokens,
                      .width = width, .kind = kind});
}
