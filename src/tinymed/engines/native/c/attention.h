/* The key-value cache and attention over it: part of operations.h. */

enum { TOKENS_STORED = 16 };

typedef struct {
    float *joint;
    int tokens;
    const heads *h;
    const cache *to;
    const int32_t *rows, *places;
    const float *cosines, *sines;
} store_job;

static void turn(float *head, const float *cosines, const float *sines, int size) {
    const int middle = size / 2;
    for (int i = 0; i < middle; i += 16) {
        const int count = middle - i;
        const lanes a = load_some(head + i, count), b = load_some(head + middle + i, count);
        const lanes c = load_some(cosines + i, count), s = load_some(sines + i, count);
        const lanes minus_b = lanes_sub(lanes_set(0.0f), b);
        store_some(head + i, lanes_fma(minus_b, s, lanes_mul(a, c)), count);
        store_some(head + middle + i, lanes_fma(a, s, lanes_mul(b, c)), count);
    }
}

static void store_tokens(void *job, int chunk, int thread) {
    (void)thread;
    const store_job *j = job;
    const heads *h = j->h;
    const int width = (h->num_heads + 2 * h->num_kv_heads) * h->size;
    const int first = chunk * TOKENS_STORED, last = least(j->tokens, first + TOKENS_STORED);
    for (int t = first; j->cosines != NULL && t < last; t++)
        for (int head = 0; head < h->num_heads + h->num_kv_heads; head++)
            turn(j->joint + (size_t)t * width + (size_t)head * h->size,
                 j->cosines + (size_t)t * (h->size / 2), j->sines + (size_t)t * (h->size / 2),
                 h->size);
    const size_t room = (size_t)j->to->parts * PART;
    for (int head = 0; head < h->num_kv_heads; head++) {
        for (int t = first; t < last; t++) {
            const size_t place = (size_t)j->rows[t] * h->num_kv_heads + head;
            const float *row = j->joint + (size_t)t * width;
            const float *value = row + (size_t)(h->num_heads + h->num_kv_heads + head) * h->size;
            half *to = j->to->values + (place * room + j->places[t]) * h->padded;
            for (int i = 0; i < h->size; i += 16)
                lanes_store_half(to + i, load_some(value + i, h->size - i));
        }
        /* Keys stand in columns: tokens that follow one another are written side by side. */
        for (int t = first; t < last;) {
            const int at = j->places[t] % PART;
            int count = 1;
            while (t + count < last && at + count < PART && j->rows[t + count] == j->rows[t] &&
                   j->places[t + count] == j->places[t] + count)
                count++;
            const size_t place = (size_t)j->rows[t] * h->num_kv_heads + head;
            const float *key =
                j->joint + (size_t)t * width + (size_t)(h->num_heads + head) * h->size;
            half *to = j->to->keys + (place * room + j->places[t] - at) * h->size + at;
            for (int d = 0; d < h->size; d++) {
                float column[16] = {0};
                half narrowed[16];
                for (int i = 0; i < count; i++) column[i] = key[(size_t)i * width + d];
                lanes_store_half(narrowed, lanes_load(column));
                memcpy(to + (size_t)d * PART, narrowed, (size_t)count * sizeof(half));
            }
            t += count;
        }
    }
}

static int store(context *c, float *joint, int tokens, const heads *h, const cache *to,
                 const int32_t *rows, const int32_t *places, const float *cosines,
                 const float *sines) {
    store_job job = {joint, tokens, h, to, rows, places, cosines, sines};
    pool_run(c->threads, store_tokens, &job, ceiling(tokens, TOKENS_STORED));
    return 0;
}

/* Queries are scored and mixed together: those of a few tokens, and of all the heads that share
 * a key. Places are taken PART at a time, widened to 32 bits once for all of these queries.
 * How many queries and how many lanes a loop holds is what the registers have room for. */
enum { QUERIES = 32 };
#if defined(LANES_AVX512)
enum { SCORE_QUERIES = 8, SCORE_LANES = 2, MIX_QUERIES = 4, MIX_LANES = 5 };
#else
enum { SCORE_QUERIES = 4, SCORE_LANES = 1, MIX_QUERIES = 4, MIX_LANES = 1 };
#endif

typedef struct {
    int first, count; /* tokens */
} run;

typedef struct {
    const float *joint;
    const heads *h;
    const cache *own, *shared;
    const int32_t *rows, *visible;
    int num_shared, own_at, length; /* where a row's own scores begin, and how many there are */
    const run *runs;
    float *out;
    context *c;
} attend_job;

/* scores[query][place] for some queries and the PART places in `keys` (size, PART). */
INLINE void score_part(const float *queries, const float *keys, int size, float *scores,
                       size_t step, int num_queries) {
    for (int place = 0; place < PART; place += 16 * SCORE_LANES) {
        lanes sums[SCORE_QUERIES][SCORE_LANES];
        for (int q = 0; q < num_queries; q++)
            for (int i = 0; i < SCORE_LANES; i++) sums[q][i] = lanes_set(0.0f);
        for (int d = 0; d < size; d++) {
            lanes k[SCORE_LANES];
            for (int i = 0; i < SCORE_LANES; i++)
                k[i] = lanes_load(keys + d * PART + place + 16 * i);
            UNROLL(8)
            for (int q = 0; q < num_queries; q++) {
                const lanes x = lanes_set(queries[(size_t)q * size + d]);
                UNROLL(2)
                for (int i = 0; i < SCORE_LANES; i++) sums[q][i] = lanes_fma(x, k[i], sums[q][i]);
            }
        }
        for (int q = 0; q < num_queries; q++)
            for (int i = 0; i < SCORE_LANES; i++)
                lanes_store(scores + q * step + place + 16 * i, sums[q][i]);
    }
}

/* mixed[query] += shares[query][place] * values[place], for 16 * wide of a head's numbers. */
INLINE void mix_part(const float *shares, size_t step, const float *values, int padded,
                     float *mixed, int places, int num_queries, int wide) {
    lanes sums[MIX_QUERIES][MIX_LANES];
    for (int q = 0; q < num_queries; q++)
        for (int i = 0; i < wide; i++) sums[q][i] = lanes_load(mixed + q * padded + 16 * i);
    for (int place = 0; place < places; place++) {
        lanes v[MIX_LANES];
        for (int i = 0; i < wide; i++) v[i] = lanes_load(values + place * padded + 16 * i);
        UNROLL(4)
        for (int q = 0; q < num_queries; q++) {
            const lanes x = lanes_set(shares[q * step + place]);
            UNROLL(5)
            for (int i = 0; i < wide; i++) sums[q][i] = lanes_fma(x, v[i], sums[q][i]);
        }
    }
    for (int q = 0; q < num_queries; q++)
        for (int i = 0; i < wide; i++) lanes_store(mixed + q * padded + 16 * i, sums[q][i]);
}

INLINE void mix_queries(const float *shares, size_t step, const float *values, int padded,
                        float *mixed, int places, int num_queries) {
    for (int i = 0; i < padded;) {
        const int left = (padded - i) / 16;
        /* As many lanes at once as there are registers for, but never one alone at the end. */
        const int wide = left <= MIX_LANES ? left : MIX_LANES > 1 ? 4 : 1;
        const float *from = values + i;
        float *to = mixed + i;
        if (wide == 1) mix_part(shares, step, from, padded, to, places, num_queries, 1);
#if defined(LANES_AVX512)
        else if (wide == 2) mix_part(shares, step, from, padded, to, places, num_queries, 2);
        else if (wide == 3) mix_part(shares, step, from, padded, to, places, num_queries, 3);
        else if (wide == 4) mix_part(shares, step, from, padded, to, places, num_queries, 4);
        else mix_part(shares, step, from, padded, to, places, num_queries, 5);
#endif
        i += 16 * wide;
    }
}

typedef struct {
    float *queries, *scores, *mixed, *sums;
    float *wide;  /* PART keys or values in 32 bits */
    int count;    /* queries */
    size_t step;  /* scores from query to query */
} attend_room;

static void score_places(const attend_job *j, const attend_room *r, const half *keys, int places,
                         int at) {
    const int size = j->h->size;
    for (int start = 0; start < places; start += PART) {
        const half *part = keys + (size_t)start * size;
        for (int i = 0; i < size * PART; i += 16)
            lanes_store(r->wide + i, lanes_load_half(part + i));
        float *scores = r->scores + at + start;
        int q = 0;
        for (; q + SCORE_QUERIES <= r->count; q += SCORE_QUERIES)
            score_part(r->queries + (size_t)q * size, r->wide, size, scores + q * r->step, r->step,
                       SCORE_QUERIES);
        for (; q < r->count; q++)
            score_part(r->queries + (size_t)q * size, r->wide, size, scores + q * r->step, r->step,
                       1);
    }
}

static void mix_places(const attend_job *j, const attend_room *r, const half *values, int places,
                       int at) {
    const int padded = j->h->padded;
    for (int start = 0; start < places; start += PART) {
        const int count = least(PART, places - start);
        for (int i = 0; i < count * padded; i += 16)
            lanes_store(r->wide + i, lanes_load_half(values + (size_t)start * padded + i));
        const float *shares = r->scores + at + start;
        int q = 0;
        for (; q + MIX_QUERIES <= r->count; q += MIX_QUERIES)
            mix_queries(shares + q * r->step, r->step, r->wide, padded,
                        r->mixed + (size_t)q * padded, count, MIX_QUERIES);
        for (; q < r->count; q++)
            mix_queries(shares + q * r->step, r->step, r->wide, padded,
                        r->mixed + (size_t)q * padded, count, 1);
    }
}

/* Sixteen scores, but for those that are not there: they are far below any that is. */
INLINE lanes scores_at(const float *scores, int count) {
    if (count >= 16) return lanes_load(scores);
    float all[16];
    for (int i = 0; i < 16; i++) all[i] = i < count ? scores[i] : -INFINITY;
    return lanes_load(all);
}

INLINE float largest_of(const float *scores, int from, int to) {
    lanes largest = lanes_set(-INFINITY);
    for (int i = from; i < to; i += 16)
        largest = lanes_max(largest, scores_at(scores + i, to - i));
    return lanes_largest(largest);
}

/* Scores become shares: over the places from `from` to `to`; the rest of sixteen count nothing. */
INLINE float softmax_sum(float *scores, int from, int to, float largest) {
    lanes sum = lanes_set(0.0f);
    for (int i = from; i < to; i += 16) {
        lanes shares = lanes_exp(lanes_sub(lanes_load(scores + i), lanes_set(largest)));
        if (to - i < 16) {
            float all[16];
            lanes_store(all, shares);
            for (int k = to - i; k < 16; k++) all[k] = 0.0f;
            shares = lanes_load(all);
        }
        lanes_store(scores + i, shares);
        sum = lanes_add(sum, shares);
    }
    return lanes_sum(sum);
}

static float share_out(float *scores, int num_shared, int own_at, int visible, int own_places) {
    const float a = largest_of(scores, 0, num_shared);
    const float b = largest_of(scores, own_at, own_at + visible);
    const float largest = a > b ? a : b;
    const float sum = softmax_sum(scores, 0, num_shared, largest) +
                      softmax_sum(scores, own_at, own_at + visible, largest);
    for (int i = ceiling(visible, 16) * 16; i < own_places; i++) scores[own_at + i] = 0.0f;
    return sum;
}

static size_t up_to_64(size_t bytes) { return (bytes + 63) / 64 * 64; }

/* Where a thread keeps what it works on; the size of it all where `at` is NULL. */
static size_t lay_out(attend_room *r, char *at, const heads *h, int queries) {
    const size_t all[] = {
        (size_t)queries * h->size, (size_t)queries * h->padded, (size_t)PART * h->padded,
        (size_t)queries * r->step, (size_t)queries,
    };
    float **places[] = {&r->queries, &r->mixed, &r->wide, &r->scores, &r->sums};
    size_t used = 0;
    for (int i = 0; i < 5; i++) {
        if (at != NULL) *places[i] = (float *)(at + used);
        used += up_to_64(all[i] * sizeof(float));
    }
    return used;
}

static void attend_run(void *job, int chunk, int thread) {
    const attend_job *j = job;
    const heads *h = j->h;
    const int kv = chunk % h->num_kv_heads, sharing = h->num_heads / h->num_kv_heads;
    const run now = j->runs[chunk / h->num_kv_heads];
    const size_t width = (size_t)(h->num_heads + 2 * h->num_kv_heads) * h->size;
    attend_room r = {.count = now.count * sharing, .step = (size_t)j->length};
    lay_out(&r, j->c->private_[thread].at, h, r.count);
    memset(r.mixed, 0, (size_t)r.count * h->padded * sizeof(float));
    const float scale = 1.0f / sqrtf((float)h->size);
    int most = 0;
    for (int q = 0; q < r.count; q++) {
        const int token = now.first + q / sharing, head = kv * sharing + q % sharing;
        const float *from = j->joint + token * width + (size_t)head * h->size;
        for (int d = 0; d < h->size; d++) r.queries[(size_t)q * h->size + d] = from[d] * scale;
        most = j->visible[token] > most ? j->visible[token] : most;
    }
    const size_t own_place = (size_t)j->rows[now.first] * h->num_kv_heads + kv;
    const size_t own_room = (size_t)j->own->parts * PART;
    const size_t shared_room = j->num_shared > 0 ? (size_t)j->shared->parts * PART : 0;
    if (j->num_shared > 0)
        score_places(j, &r, j->shared->keys + (size_t)kv * h->size * shared_room, j->num_shared, 0);
    score_places(j, &r, j->own->keys + own_place * h->size * own_room, most, j->own_at);
    for (int q = 0; q < r.count; q++)
        r.sums[q] = share_out(r.scores + q * r.step, j->num_shared, j->own_at,
                              j->visible[now.first + q / sharing], most);
    if (j->num_shared > 0)
        mix_places(j, &r, j->shared->values + (size_t)kv * h->padded * shared_room, j->num_shared,
                   0);
    mix_places(j, &r, j->own->values + own_place * h->padded * own_room, most, j->own_at);
    for (int q = 0; q < r.count; q++) {
        const int token = now.first + q / sharing, head = kv * sharing + q % sharing;
        float *to = j->out + ((size_t)token * h->num_heads + head) * h->size;
        for (int d = 0; d < h->size; d++) to[d] = r.mixed[(size_t)q * h->padded + d] / r.sums[q];
    }
}

static int attend(context *c, const float *joint, int tokens, const heads *h, const cache *own,
                  const int32_t *rows, const int32_t *visible, const cache *shared,
                  int num_shared, float *out) {
    const int sharing = h->num_heads / h->num_kv_heads;
    const int together = sharing >= QUERIES ? 1 : QUERIES / sharing;
    int most = 0, count = 0;
    run *runs = scratch_of(&c->rounded, (size_t)tokens * sizeof(run));
    if (runs == NULL) return -1;
    for (int t = 0; t < tokens; count++) {
        int length = 1;
        while (length < together && t + length < tokens && rows[t + length] == rows[t]) length++;
        runs[count] = (run){t, length};
        t += length;
    }
    for (int t = 0; t < tokens; t++) most = visible[t] > most ? visible[t] : most;
    attend_job job = {.joint = joint, .h = h, .own = own, .shared = shared, .rows = rows,
                      .visible = visible, .num_shared = num_shared, .runs = runs, .out = out,
                      .c = c, .own_at = ceiling(num_shared, PART) * PART};
    job.length = job.own_at + ceiling(most, PART) * PART;
    attend_room room = {.step = (size_t)job.length};
    const size_t size = lay_out(&room, NULL, h, together * sharing);
    for (int thread = 0; thread < pool_threads(c->threads); thread++)
        if (scratch_of(&c->private_[thread], size) == NULL) return -1;
    pool_run(c->threads, attend_run, &job, count * h->num_kv_heads);
    return 0;
}
