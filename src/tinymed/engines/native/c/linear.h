/* Products with packed matrices: part of operations.h, included once a kind of processor. */

/* Tokens side by side where there are more than one, but not many. */
enum { FEW = 4 };

/* A tile of activations stays in the nearest cache, so many blocks of weights in the next. */
enum { BLOCKS_AT_ONCE = 8 };

/* Activations in 8 bits, some tokens side by side, a tile: [tile][group][token][32]. */
typedef struct {
    int8_t *values;
    float *scales;   /* [tile][group][token] */
    int32_t *begins; /* the same: what the sum of products begins with */
    float *whole;    /* in their place beside weights of 16 bits: [tile][column][token] */
} rounded;

typedef struct {
    const float *values;
    int tokens, width; /* width: tokens side by side in a tile */
    const matrix *m;
    float *out;
    int add;
    rounded r;
    context *c;
} linear_job;

#define SMALLEST 1e-36f

INLINE void round_group(const float *from, int count, int begin, int8_t *to, float *scale,
                        int32_t *start) {
    const lanes a = load_some(from, count);
    const lanes b = load_some(from + 16, count > 16 ? count - 16 : 0);
    const float largest = lanes_largest(lanes_max(lanes_abs(a), lanes_abs(b)));
    const int is_nought = largest < SMALLEST; /* 127 divided by it would be infinite */
    const lanes steps = lanes_set(is_nought ? 0.0f : 127.0f / largest);
    *scale = is_nought ? 0.0f : largest / 127.0f;
    const integers x = lanes_round(lanes_mul(a, steps)), y = lanes_round(lanes_mul(b, steps));
    integers_store_bytes(to, x);
    integers_store_bytes(to + 16, y);
    *start = begin * integers_sum(integers_add(x, y));
}

/* Beside weights of 16 bits activations keep theirs, but stand side by side all the same. */
static void turn_tile(void *job, int tile, int thread) {
    (void)thread;
    const linear_job *j = job;
    const int width = j->width, columns = j->m->columns, padded = j->m->groups * GROUP;
    float *to = j->r.whole + (size_t)tile * padded * width;
    memset(to, 0, (size_t)padded * width * sizeof *to);
    for (int t = 0; t < least(width, j->tokens - tile * width); t++) {
        const float *row = j->values + (size_t)(tile * width + t) * columns;
        for (int i = 0; i < columns; i++) to[(size_t)i * width + t] = row[i];
    }
}

static void round_tile(void *job, int tile, int thread) {
    (void)thread;
    const linear_job *j = job;
    const int width = j->width, groups = j->m->groups, columns = j->m->columns;
    const int begin = j->m->bits == 4 ? NIBBLES_BEGIN : BYTES_BEGIN;
    const int count = least(width, j->tokens - tile * width);
    for (int t = 0; t < width; t++) {
        const float *row = j->values + (size_t)(tile * width + t) * columns;
        for (int g = 0; g < groups; g++) {
            const size_t at = ((size_t)tile * groups + g) * width + t;
            if (t < count) {
                round_group(row + g * GROUP, least(GROUP, columns - g * GROUP), begin,
                            j->r.values + at * GROUP, j->r.scales + at, j->r.begins + at);
            } else {
                memset(j->r.values + at * GROUP, 0, GROUP);
                j->r.scales[at] = 0.0f;
                j->r.begins[at] = 0;
            }
        }
    }
}

INLINE void unpack_group(const uint8_t *data, int bits, bytes w[8]) {
    if (bits == 8) {
        for (int j = 0; j < 8; j++) w[j] = bytes_load(data + 64 * j);
        return;
    }
    for (int j = 0; j < 4; j++) {
        const bytes two = bytes_load(data + 64 * j);
        w[j] = bytes_low(two);
        w[4 + j] = bytes_high(two);
    }
}

INLINE void put(const linear_job *j, int block, int token, lanes sum) {
    const matrix *m = j->m;
    const int count = least(BLOCK, m->rows - block * BLOCK);
    float *to = j->out + (size_t)token * m->rows + (size_t)block * BLOCK;
    if (m->bias != NULL) sum = lanes_add(sum, load_some(m->bias + block * BLOCK, count));
    if (j->add) sum = lanes_add(sum, load_some(to, count));
    store_some(to, sum, count);
}

/* Bytes: how far in front of what is read the processor is told to fetch. */
#define AHEAD 3072

/* One block of rows with a tile of `width` tokens; width and bits are known when compiled. */
INLINE void multiply_tile(const linear_job *j, int block, int tile, int width, int bits) {
    const matrix *m = j->m;
    const uint8_t *data = m->data + (size_t)block * m->stride;
    const half *scales = (const half *)(data + (size_t)m->groups * (bits == 4 ? 256 : 512));
    const size_t first = (size_t)tile * m->groups * width;
    lanes sums[TILE];
    for (int t = 0; t < width; t++) sums[t] = lanes_set(0.0f);
    for (int g = 0; g < m->groups; g++) {
        bytes w[8];
        const uint8_t *group = data + (size_t)g * (bits == 4 ? 256 : 512);
        if (width < TILE) /* few products a weight: memory is what they wait for */
            for (int line = 0; line < (bits == 4 ? 4 : 8); line++)
                __builtin_prefetch(group + AHEAD + 64 * line, 0, 3);
        unpack_group(group, bits, w);
        const lanes scale = lanes_load_half(scales + g * BLOCK);
        const size_t at = first + (size_t)g * width;
        const int8_t *values = j->r.values + at * GROUP;
        UNROLL(16)
        for (int t = 0; t < width; t++) {
            const integers begin = integers_set(j->r.begins[at + t]);
            const int8_t *group_values = values + t * GROUP;
            const integers whole = bits == 4 ? dot_nibbles(begin, w, group_values)
                                             : dot_bytes(begin, w, group_values);
            const lanes both = lanes_mul(scale, lanes_set(j->r.scales[at + t]));
            sums[t] = lanes_fma(lanes_of(whole), both, sums[t]);
        }
    }
    const int count = least(width, j->tokens - tile * width);
    for (int t = 0; t < count; t++) put(j, block, tile * width + t, sums[t]);
}

INLINE void multiply_whole_tile(const linear_job *j, int block, int tile, int width) {
    const matrix *m = j->m;
    const half *weights = (const half *)(m->data + (size_t)block * m->stride);
    const int columns = m->groups * GROUP;
    const float *values = j->r.whole + (size_t)tile * columns * width;
    lanes sums[TILE];
    for (int t = 0; t < width; t++) sums[t] = lanes_set(0.0f);
    for (int i = 0; i < columns; i++) {
        const half *column = weights + (size_t)i * BLOCK;
        if (width < TILE) __builtin_prefetch((const char *)column + AHEAD, 0, 3);
        const lanes w = lanes_load_half(column);
        UNROLL(16)
        for (int t = 0; t < width; t++)
            sums[t] = lanes_fma(w, lanes_set(values[(size_t)i * width + t]), sums[t]);
    }
    const int count = least(width, j->tokens - tile * width);
    for (int t = 0; t < count; t++) put(j, block, tile * width + t, sums[t]);
}

#if defined(LANES_AMX)
/* The same sums in integers, sixteen rows by sixteen tokens at once. */
INLINE void multiply_tile_amx(const linear_job *j, int block, int tile, const int8_t *weights,
                              const float *scales) {
    const size_t begin = (size_t)tile * j->m->groups * TILE;
    _Alignas(64) int32_t whole[2][TILE * BLOCK];
    lanes sums[TILE];
    for (int t = 0; t < TILE; t++) sums[t] = lanes_set(0.0f);
    for (int g = 0; g < j->m->groups; g++) {
        const size_t at = begin + (size_t)g * TILE;
        int32_t *sum = whole[g & 1];
        if (g & 1) {
            _tile_zero(3);
            _tile_loadd(4, j->r.values + at * GROUP, GROUP);
            _tile_loadd(5, weights + (size_t)g * 512, 64);
            _tile_dpbssd(3, 4, 5);
            _tile_stored(3, sum, 64);
        } else {
            _tile_zero(0);
            _tile_loadd(1, j->r.values + at * GROUP, GROUP);
            _tile_loadd(2, weights + (size_t)g * 512, 64);
            _tile_dpbssd(0, 1, 2);
            _tile_stored(0, sum, 64);
        }
        const lanes scale = lanes_load(scales + g * BLOCK);
        UNROLL(16)
        for (int t = 0; t < TILE; t++) {
            const lanes both = lanes_mul(scale, lanes_set(j->r.scales[at + t]));
            sums[t] = lanes_fma(lanes_of(_mm512_load_si512(sum + t * BLOCK)), both, sums[t]);
        }
    }
    const int count = least(TILE, j->tokens - tile * TILE);
    for (int t = 0; t < count; t++) put(j, block, tile * TILE + t, sums[t]);
}

static void configure_tiles(void) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t columns[16];
        uint8_t rows[16];
    } __attribute__((aligned(64))) shape = {.palette = 1};
    for (int i = 0; i < 6; i += 3) {
        shape.columns[i] = 64, shape.rows[i] = 16;           /* sums */
        shape.columns[i + 1] = GROUP, shape.rows[i + 1] = 16; /* activations */
        shape.columns[i + 2] = 64, shape.rows[i + 2] = 8;     /* weights */
    }
    _tile_loadconfig(&shape);
}

/* A block's weights as signed bytes, and its scales in 32 bits. */
INLINE void unpack_block(const matrix *m, int block, int8_t *weights, float *scales) {
    const __m512i offset = _mm512_set1_epi8(m->bits == 4 ? 8 : -128);
    const int step = m->bits == 4 ? 256 : 512;
    const uint8_t *data = m->data + (size_t)block * m->stride;
    const half *stored = (const half *)(data + (size_t)m->groups * step);
    for (int g = 0; g < m->groups; g++) {
        bytes w[8];
        unpack_group(data + (size_t)g * step, m->bits, w);
        for (int k = 0; k < 8; k++)
            _mm512_store_si512(weights + (size_t)g * 512 + 64 * k, _mm512_sub_epi8(w[k], offset));
        lanes_store(scales + g * BLOCK, lanes_load_half(stored + g * BLOCK));
    }
}

static size_t unpacked_size(const matrix *m) {
    return (size_t)m->groups * (512 + BLOCK * sizeof(float));
}

static void multiply_chunk_amx(const linear_job *j, int first, int last, int thread) {
    const size_t size = unpacked_size(j->m), scales_at = (size_t)j->m->groups * 512;
    char *room = scratch_of(&j->c->private_[thread], BLOCKS_AT_ONCE * size);
    configure_tiles();
    for (int some = first; some < last; some += BLOCKS_AT_ONCE) {
        const int count = least(BLOCKS_AT_ONCE, last - some);
        for (int n = 0; n < count; n++)
            unpack_block(j->m, some + n, (int8_t *)room + n * size,
                         (float *)(room + n * size + scales_at));
        for (int tile = 0; tile < ceiling(j->tokens, TILE); tile++)
            for (int n = 0; n < count; n++)
                multiply_tile_amx(j, some + n, tile, (const int8_t *)room + n * size,
                                  (const float *)(room + n * size + scales_at));
    }
    _tile_release();
}
#endif

/* Chunks come in rounds, one for each thread: the first takes half of all blocks, the next half of
 * what is left, and so on. Long runs keep memory streaming, short ones at the end keep a thread
 * that was put aside from being waited for long. */
enum { ROUNDS = 5 };
static int begin_of_round(int blocks, int round) {
    return round == ROUNDS ? blocks : blocks - (blocks >> round);
}
static int begin_of_chunk(int blocks, int chunk, int threads) {
    const int round = chunk / threads;
    if (round == ROUNDS) return blocks;
    const int begin = begin_of_round(blocks, round);
    const int length = begin_of_round(blocks, round + 1) - begin;
    return begin + (int)((int64_t)length * (chunk % threads) / threads);
}

static void multiply_block(const linear_job *j, int block, int tile) {
    const int bits = j->m->bits;
    if (j->width == 1) {
        if (bits == 4) multiply_tile(j, block, tile, 1, 4);
        else if (bits == 8) multiply_tile(j, block, tile, 1, 8);
        else multiply_whole_tile(j, block, tile, 1);
    } else if (j->width == FEW) {
        if (bits == 4) multiply_tile(j, block, tile, FEW, 4);
        else if (bits == 8) multiply_tile(j, block, tile, FEW, 8);
        else multiply_whole_tile(j, block, tile, FEW);
    } else {
        if (bits == 4) multiply_tile(j, block, tile, TILE, 4);
        else if (bits == 8) multiply_tile(j, block, tile, TILE, 8);
        else multiply_whole_tile(j, block, tile, TILE);
    }
}

static void multiply_chunk(void *job, int chunk, int thread) {
    const linear_job *j = job;
    const int threads = pool_threads(j->c->threads);
    const int first = begin_of_chunk(j->m->blocks, chunk, threads);
    const int last = begin_of_chunk(j->m->blocks, chunk + 1, threads);
    (void)thread;
#if defined(LANES_AMX)
    if (j->width == TILE && j->m->bits != 16) {
        multiply_chunk_amx(j, first, last, thread);
        return;
    }
#endif
    for (int some = first; some < last; some += BLOCKS_AT_ONCE)
        for (int tile = 0; tile < ceiling(j->tokens, j->width); tile++)
            for (int block = some; block < least(last, some + BLOCKS_AT_ONCE); block++)
                multiply_block(j, block, tile);
}

static int linear(context *c, const float *values, int tokens, const matrix *m, float *out,
                  int add) {
    const int width = tokens == 1 ? 1 : tokens <= 2 * FEW ? FEW : TILE;
    const int tiles = ceiling(tokens, width);
    const size_t groups = (size_t)tiles * width * m->groups;
    const size_t each = m->bits == 16 ? GROUP * sizeof(float)
                                      : GROUP + sizeof(float) + sizeof(int32_t);
    char *room = scratch_of(&c->rounded, groups * each);
    const int threads = pool_threads(c->threads);
    linear_job job = {
        .values = values, .tokens = tokens, .width = width, .m = m, .out = out, .add = add, .c = c,
    };
    if (room == NULL) return -1;
    if (m->bits == 16) job.r.whole = (float *)room;
    else job.r = (rounded){(int8_t *)room, (float *)(room + groups * GROUP),
                           (int32_t *)(room + groups * (GROUP + sizeof(float))), NULL};
#if defined(LANES_AMX)
    /* Asked for here, where a lack can be told. */
    for (int thread = 0; width == TILE && m->bits != 16 && thread < threads; thread++)
        if (scratch_of(&c->private_[thread], BLOCKS_AT_ONCE * unpacked_size(m)) == NULL) return -1;
#endif
    pool_run(c->threads, m->bits == 16 ? turn_tile : round_tile, &job, tiles);
    pool_run(c->threads, multiply_chunk, &job, ROUNDS * threads);
    return 0;
}
