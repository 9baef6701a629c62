/* The fast parts of a training step on a CPU: 3x3 convolutions by Winograd's algorithm, 1x1 convolutions, batch norm.
 *
 * All tensors are float32, channels last. A tensor may be a slice of the channels of a wider one: its `stride` is the
 * number of floats from one pixel to the next. Channels come in whole vectors of 8. Work is split evenly among threads,
 * the same way every time, so results repeat exactly.
 *
 * Winograd, F(4x4, 3x3) (Lavin and Gray, arXiv 1509.09308): a 4x4 tile of the output is computed from a 6x6 tile of the
 * input with 36 products a channel pair, where the plain way needs 144. Both are seen as values of polynomials at the
 * points 0, +-P, +-Q and infinity. P = 5/8 and Q = 3/2 halve the rounding error of the usual 1 and 2: 5.5e-7 of the
 * result's size, where the plain sum in float32 has 2.7e-7 (measured with 24 channels).
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define LANES 8
#define TILES 24  /* tiles worked on at a time, so that all of a block stays in the second-level cache */
#define POINTS 36 /* 6 x 6 */
#define PP 0.390625f /* P squared */
#define QQ 2.25f     /* Q squared */
#define P 0.625f
#define Q 1.5f
#define MAX_THREADS 64
#define LARGE (8 << 20) /* floats: 32 MB, more than most third-level caches */
#define EXPORT __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))
#if defined(__AVX512VL__) || defined(__aarch64__)
#define REGISTERS 32
#else
#define REGISTERS 16
#endif

typedef float vec __attribute__((vector_size(32), aligned(4), may_alias));
typedef float pack __attribute__((vector_size(32)));
typedef int mask __attribute__((vector_size(32)));

INLINE pack load(const float *p) { return *(const vec *)p; }
INLINE void store(float *p, pack v) { *(vec *)p = v; }
/* Store past the caches: for more than they hold, it saves reading what is overwritten. */
INLINE void store_past(float *p, pack v, int past) {
#if defined(__AVX2__)
    if (past) {
        _mm256_stream_ps(p, (__m256)v);
        return;
    }
#endif
    (void)past;
    store(p, v);
}
INLINE pack all(float x) { return (pack){x, x, x, x, x, x, x, x}; }
INLINE pack where_positive(pack x, pack v) { return (pack)((mask)(x > 0) & (mask)v); } /* v where x > 0, else 0 */

/* ---- threads ---- */

typedef struct { void (*work)(void *, long, long, int); void *job; long first, last; int number; } Part;

static void *run_part(void *argument) {
    Part *part = argument;
    part->work(part->job, part->first, part->last, part->number);
    return NULL;
}

/* Split 0..count into one contiguous part a thread; the caller does the first. */
static void in_parallel(void (*work)(void *, long, long, int), void *job, long count, long threads) {
    Part parts[MAX_THREADS];
    pthread_t handles[MAX_THREADS];
    int started[MAX_THREADS] = {0};
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    if (threads > count) threads = count > 0 ? (int)count : 1;
    for (int i = (int)threads - 1; i >= 0; i--) {
        parts[i] = (Part){work, job, count * i / threads, count * (i + 1) / threads, i};
        if (i > 0) started[i] = pthread_create(&handles[i], NULL, run_part, &parts[i]) == 0;
        if (!started[i]) run_part(&parts[i]);
    }
    for (int i = 1; i < threads; i++)
        if (started[i]) pthread_join(handles[i], NULL);
}

static float *scratch(long floats) {
    void *p = NULL;
    return posix_memalign(&p, 64, (size_t)floats * sizeof(float)) ? NULL : p;
}

/* ---- small matrix products ---- */

/* c[r][n] = sum over k of a[r][k] b[k][n], for R rows and V vectors of columns; the sums stay in registers. */
#define ROWS_TIMES(R, V)                                                                                       \
    INLINE void rows_times_##R##_##V(const float *a, long sa, const float *b, long sb, long depth, pack acc[R][V]) { \
        for (int r = 0; r < R; r++)                                                                            \
            for (int v = 0; v < V; v++) acc[r][v] = all(0.0f);                                                 \
        for (long k = 0; k < depth; k++) {                                                                     \
            pack row[V];                                                                                       \
            for (int v = 0; v < V; v++) row[v] = load(b + k * sb + v * LANES);                                 \
            for (int r = 0; r < R; r++) {                                                                      \
                pack value = all(a[r * sa + k]);                                                               \
                for (int v = 0; v < V; v++) acc[r][v] += value * row[v];                                       \
            }                                                                                                  \
        }                                                                                                      \
    }
/* c[m][n] += sum over t of a[t][m] b[t][n], for R columns of a and V vectors of columns of b. */
#define OUTER(R, V)                                                                                            \
    INLINE void outer_##R##_##V(const float *a, long sa, const float *b, long sb, long depth, float *c, long sc) { \
        pack acc[R][V];                                                                                        \
        for (int r = 0; r < R; r++)                                                                            \
            for (int v = 0; v < V; v++) acc[r][v] = load(c + r * sc + v * LANES);                              \
        for (long t = 0; t < depth; t++) {                                                                     \
            pack row[V];                                                                                       \
            for (int v = 0; v < V; v++) row[v] = load(b + t * sb + v * LANES);                                 \
            for (int r = 0; r < R; r++) {                                                                      \
                pack value = all(a[t * sa + r]);                                                               \
                for (int v = 0; v < V; v++) acc[r][v] += value * row[v];                                       \
            }                                                                                                  \
        }                                                                                                      \
        for (int r = 0; r < R; r++)                                                                            \
            for (int v = 0; v < V; v++) store(c + r * sc + v * LANES, acc[r][v]);                              \
    }
#if REGISTERS == 32
#define R3 8
#define R2 12
#define R1 12
ROWS_TIMES(8, 3) ROWS_TIMES(12, 2) ROWS_TIMES(12, 1) ROWS_TIMES(1, 1)
OUTER(8, 3) OUTER(8, 2) OUTER(8, 1)
#define TIMES3 rows_times_8_3
#define TIMES2 rows_times_12_2
#define TIMES1 rows_times_12_1
#define OUTER3 outer_8_3
#define OUTER2 outer_8_2
#define OUTER1 outer_8_1
#define OUTER_ROWS 8
#else
#define R3 4
#define R2 6
#define R1 8
ROWS_TIMES(4, 3) ROWS_TIMES(6, 2) ROWS_TIMES(8, 1) ROWS_TIMES(1, 1)
OUTER(4, 3) OUTER(4, 2) OUTER(8, 1)
#define TIMES3 rows_times_4_3
#define TIMES2 rows_times_6_2
#define TIMES1 rows_times_8_1
#define OUTER3 outer_4_3
#define OUTER2 outer_4_2
#define OUTER1 outer_8_1
#define OUTER_ROWS 4
#endif

typedef struct { const float *bias; long relu, add; } Finish;

INLINE void finish(float *c, pack v, const float *bias, const Finish *f) {
    if (f->add) v += load(c);
    if (f->bias) v += load(bias);
    if (f->relu) v = where_positive(v, v);
    store(c, v);
}

#define BLOCK(R, V, TIMES)                                                                                     \
    for (; r + R <= rows; r += R) {                                                                            \
        pack acc[R][V];                                                                                        \
        TIMES(a + r * sa, sa, b + n, sb, depth, acc);                                                          \
        for (int i = 0; i < R; i++)                                                                            \
            for (int v = 0; v < V; v++)                                                                        \
                finish(c + (r + i) * sc + n + v * LANES, acc[i][v], f->bias + n + v * LANES, f);               \
    }

/* c = a b with what `f` says done to it; a: rows x depth, b: depth x columns. */
static void product(const float *a, long sa, const float *b, long sb, float *c, long sc, long rows, long depth,
                    long columns, const Finish *f) {
    long n = 0;
    while (n < columns) {
        long r = 0, left = (columns - n) / LANES;
        int wide = left % 3 == 0 || left > 4 ? 3 : left >= 2 ? 2 : 1;
        if (wide == 3) { BLOCK(R3, 3, TIMES3) }
        else if (wide == 2) { BLOCK(R2, 2, TIMES2) }
        else { BLOCK(R1, 1, TIMES1) }
        for (int v = 0; v < wide && r < rows; v++)
            for (long q = r; q < rows; q++) {
                pack acc[1][1];
                long m = n + v * LANES;
                rows_times_1_1(a + q * sa, sa, b + m, sb, depth, acc);
                finish(c + q * sc + m, acc[0][0], f->bias + m, f);
            }
        n += wide * LANES;
    }
}

/* c += a' b; a: depth x rows, b: depth x columns. */
INLINE void outer_product(const float *a, long sa, const float *b, long sb, float *c, long sc, long depth, long rows,
                          long columns) {
    long n = 0;
    while (n < columns) {
        long left = (columns - n) / LANES;
        int wide = left % 3 == 0 || left > 4 ? 3 : left >= 2 ? 2 : 1;
        if (wide == 3) for (long m = 0; m < rows; m += OUTER_ROWS) OUTER3(a + m, sa, b + n, sb, depth, c + m * sc + n, sc);
        else if (wide == 2) for (long m = 0; m < rows; m += OUTER_ROWS) OUTER2(a + m, sa, b + n, sb, depth, c + m * sc + n, sc);
        else for (long m = 0; m < rows; m += 8) OUTER1(a + m, sa, b + n, sb, depth, c + m * sc + n, sc);
        n += wide * LANES;
    }
}

/* ---- Winograd's transforms, each of one line of a tile ---- */

INLINE void input_line(const pack d[6], pack u[6]) {
    pack even = d[4] - all(QQ) * d[2], odd = all(P) * (d[3] - all(QQ) * d[1]);
    pack even2 = d[4] - all(PP) * d[2], odd2 = all(Q) * (d[3] - all(PP) * d[1]);
    u[0] = d[4] - all(PP + QQ) * d[2] + all(PP * QQ) * d[0];
    u[1] = even + odd;
    u[2] = even - odd;
    u[3] = even2 + odd2;
    u[4] = even2 - odd2;
    u[5] = d[5] - all(PP + QQ) * d[3] + all(PP * QQ) * d[1];
}

INLINE void output_line(const pack m[6], pack y[4]) {
    pack sum = m[1] + m[2], difference = m[1] - m[2], sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    y[0] = m[0] + sum + sum2;
    y[1] = all(P) * difference + all(Q) * difference2;
    y[2] = all(PP) * sum + all(QQ) * sum2;
    y[3] = all(P * PP) * difference + all(Q * QQ) * difference2 + m[5];
}

#define F0 (1.0f / (PP * QQ))
#define FP (1.0f / (2.0f * PP * (PP - QQ)))
#define FQ (1.0f / (2.0f * QQ * (QQ - PP)))

/* A line of 4 gradients as a filter. */
INLINE void gradient_line(const pack d[4], pack v[6]) {
    pack even = all(FP) * (d[0] + all(PP) * d[2]), odd = all(FP * P) * (d[1] + all(PP) * d[3]);
    pack even2 = all(FQ) * (d[0] + all(QQ) * d[2]), odd2 = all(FQ * Q) * (d[1] + all(QQ) * d[3]);
    v[0] = all(F0) * d[0];
    v[1] = even + odd;
    v[2] = even - odd;
    v[3] = even2 + odd2;
    v[4] = even2 - odd2;
    v[5] = d[3];
}

static void kernel_line(const float g[3], float u[6]) {
    u[0] = F0 * g[0];
    u[1] = FP * (g[0] + P * g[1] + PP * g[2]);
    u[2] = FP * (g[0] - P * g[1] + PP * g[2]);
    u[3] = FQ * (g[0] + Q * g[1] + QQ * g[2]);
    u[4] = FQ * (g[0] - Q * g[1] + QQ * g[2]);
    u[5] = g[2];
}

typedef struct {
    const float *x, *d, *weights, *bias; /* input; gradient; transformed kernel */
    float *y, *sums;                     /* output; one sum a thread */
    long x_stride, d_stride, y_stride, height, width;
    long rows, columns; /* of tiles */
    long from, to; /* channels of x and y */
    long relu, add;
    int failed;
} Convolution;

/* Let each thread make sums of its own, of `size` floats, then add them up. Returns 0, or 1 without memory. */
static int add_up(void (*work)(void *, long, long, int), Convolution *c, long count, float *total, long size,
                  long threads) {
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    c->sums = scratch(threads * size);
    if (!c->sums) return 1;
    memset(c->sums, 0, threads * size * sizeof(float));
    in_parallel(work, c, count, threads);
    memset(total, 0, size * sizeof(float));
    for (long i = 0; i < threads; i++)
        for (long k = 0; k < size; k++) total[k] += c->sums[i * size + k];
    free(c->sums);
    return 0;
}

typedef struct { long image, top, left; } Place;

INLINE Place place_of(const Convolution *c, long tile) {
    long row = tile / c->columns;
    return (Place){row / c->rows, (row % c->rows) * 4, (tile % c->columns) * 4};
}

/* Read `size` x `size` pixels from (top, left); those outside the picture are zero. */
INLINE void read_tile(const float *x, long stride, const Convolution *c, Place at, long top, long left, int size,
                      pack *out) {
    const float *base = x + ((at.image * c->height + top) * c->width + left) * stride;
    if (top >= 0 && left >= 0 && top + size <= c->height && left + size <= c->width) {
        for (int i = 0; i < size; i++)
            for (int j = 0; j < size; j++) out[i * size + j] = load(base + (i * c->width + j) * stride);
        return;
    }
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++) {
            int inside = top + i >= 0 && top + i < c->height && left + j >= 0 && left + j < c->width;
            out[i * size + j] = inside ? load(base + (i * c->width + j) * stride) : all(0.0f);
        }
}

static void transform_input(const Convolution *c, long first, long tiles, float *u, long point) {
    for (long t = 0; t < tiles; t++) {
        Place at = place_of(c, first + t);
        for (long channel = 0; channel < c->from; channel += LANES) {
            pack d[36], lines[36];
            read_tile(c->x + channel, c->x_stride, c, at, at.top - 1, at.left - 1, 6, d);
            for (int j = 0; j < 6; j++) {
                pack column[6] = {d[j], d[6 + j], d[12 + j], d[18 + j], d[24 + j], d[30 + j]}, out[6];
                input_line(column, out);
                for (int i = 0; i < 6; i++) lines[i * 6 + j] = out[i];
            }
            for (int i = 0; i < 6; i++) {
                pack out[6];
                input_line(lines + i * 6, out);
                for (int j = 0; j < 6; j++) store(u + (i * 6 + j) * point + t * c->from + channel, out[j]);
            }
        }
    }
}

static void transform_output(const Convolution *c, long first, long tiles, const float *m, long point) {
    for (long t = 0; t < tiles; t++) {
        Place at = place_of(c, first + t);
        long high = c->height - at.top < 4 ? c->height - at.top : 4, wide = c->width - at.left < 4 ? c->width - at.left : 4;
        float *y = c->y + ((at.image * c->height + at.top) * c->width + at.left) * c->y_stride;
        for (long channel = 0; channel < c->to; channel += LANES) {
            pack lines[24];
            Finish f = {c->bias, c->relu, c->add};
            for (int j = 0; j < 6; j++) {
                pack column[6], out[4];
                for (int i = 0; i < 6; i++) column[i] = load(m + (i * 6 + j) * point + t * c->to + channel);
                output_line(column, out);
                for (int i = 0; i < 4; i++) lines[i * 6 + j] = out[i];
            }
            for (int i = 0; i < high; i++) {
                pack out[4];
                output_line(lines + i * 6, out);
                for (int j = 0; j < wide; j++)
                    finish(y + (i * c->width + j) * c->y_stride + channel, out[j], c->bias + channel, &f);
            }
        }
    }
}

static void forward_part(void *job, long first, long last, int number) {
    Convolution *c = job;
    long from_point = TILES * c->from + 16, to_point = TILES * c->to + 16; /* 16: keeps the 36 planes out of one set of the cache */
    float *u = scratch(POINTS * from_point), *m = scratch(POINTS * to_point);
    static const Finish plain = {0};
    (void)number;
    if (!u || !m) c->failed = 1;
    for (long tile = first; tile < last && !c->failed; tile += TILES) {
        long tiles = last - tile < TILES ? last - tile : TILES;
        transform_input(c, tile, tiles, u, from_point);
        for (int e = 0; e < POINTS; e++)
            product(u + e * from_point, c->from, c->weights + e * c->from * c->to, c->to, m + e * to_point, c->to, tiles,
                    c->from, c->to, &plain);
        transform_output(c, tile, tiles, m, to_point);
    }
    free(u);
    free(m);
}

static void gradient_part(void *job, long first, long last, int number) {
    Convolution *c = job;
    long x_point = TILES * c->from + 16, d_point = TILES * c->to + 16, size = c->from * c->to;
    float *u = scratch(POINTS * x_point), *v = scratch(POINTS * d_point), *sums = c->sums + number * POINTS * size;
    if (!u || !v) c->failed = 1;
    for (long tile = first; tile < last && !c->failed; tile += TILES) {
        long tiles = last - tile < TILES ? last - tile : TILES;
        transform_input(c, tile, tiles, u, x_point);
        for (long t = 0; t < tiles; t++) {
            Place at = place_of(c, tile + t);
            for (long channel = 0; channel < c->to; channel += LANES) {
                pack d[16], lines[24];
                read_tile(c->d + channel, c->d_stride, c, at, at.top, at.left, 4, d);
                for (int j = 0; j < 4; j++) {
                    pack column[4] = {d[j], d[4 + j], d[8 + j], d[12 + j]}, out[6];
                    gradient_line(column, out);
                    for (int i = 0; i < 6; i++) lines[i * 4 + j] = out[i];
                }
                for (int i = 0; i < 6; i++) {
                    pack out[6];
                    gradient_line(lines + i * 4, out);
                    for (int j = 0; j < 6; j++) store(v + (i * 6 + j) * d_point + t * c->to + channel, out[j]);
                }
            }
        }
        for (int e = 0; e < POINTS; e++)
            outer_product(u + e * x_point, c->from, v + e * d_point, c->to, sums + e * size, c->to, tiles, c->from, c->to);
    }
    free(u);
    free(v);
}

/* 3x3 "same" convolution: y = x * kernel, then bias, relu, and added to what y holds, as asked.
 * `weights` comes from transform_kernel. Returns 0, or 1 without memory. */
EXPORT int convolve_3x3(const float *x, long x_stride, const float *weights, const float *bias, long relu, long add,
                        float *y, long y_stride, long images, long height, long width, long from, long to, long threads) {
    Convolution c = {.x = x, .x_stride = x_stride, .weights = weights, .bias = bias, .relu = relu, .add = add, .y = y,
                     .y_stride = y_stride, .height = height, .width = width, .rows = (height + 3) / 4,
                     .columns = (width + 3) / 4, .from = from, .to = to};
    in_parallel(forward_part, &c, images * c.rows * c.columns, threads);
    return c.failed;
}

/* kernel (3, 3, from, to) to weights (36, from, to); `backward`, for gradients: turned by 180 degrees, (36, to, from). */
EXPORT void transform_kernel(const float *kernel, float *weights, long from, long to, long backward) {
    long size = from * to;
    for (long a = 0; a < from; a++)
        for (long b = 0; b < to; b++) {
            float lines[3][6], g[3];
            float *w = weights + (backward ? b * from + a : a * to + b);
            for (int i = 0; i < 3; i++) {
                for (int j = 0; j < 3; j++) g[j] = kernel[((backward ? 8 - i * 3 - j : i * 3 + j) * from + a) * to + b];
                kernel_line(g, lines[i]);
            }
            for (int j = 0; j < 6; j++) {
                float column[3] = {lines[0][j], lines[1][j], lines[2][j]}, out[6];
                kernel_line(column, out);
                for (int i = 0; i < 6; i++) w[(i * 6 + j) * size] = out[i];
            }
        }
}

/* Gradient of the kernel (3, 3, from, to) of a 3x3 "same" convolution. Returns 0, or 1 without memory. */
EXPORT int kernel_gradient_3x3(const float *x, long x_stride, const float *d, long d_stride, float *gradient, long images,
                               long height, long width, long from, long to, long threads) {
    long size = from * to;
    Convolution c = {.x = x, .x_stride = x_stride, .d = d, .d_stride = d_stride, .height = height, .width = width,
                     .rows = (height + 3) / 4, .columns = (width + 3) / 4, .from = from, .to = to};
    float *sums = scratch(POINTS * size);
    if (!sums || add_up(gradient_part, &c, images * c.rows * c.columns, sums, POINTS * size, threads)) c.failed = 1;
    for (long k = 0; k < size && !c.failed; k++) {
        float s[36], lines[18];
        for (int e = 0; e < POINTS; e++) s[e] = sums[e * size + k];
        for (int j = 0; j < 6; j++) {
            float sum = s[6 + j] + s[12 + j], difference = s[6 + j] - s[12 + j], sum2 = s[18 + j] + s[24 + j],
                  difference2 = s[18 + j] - s[24 + j];
            lines[j] = s[j] + sum + sum2;
            lines[6 + j] = P * difference + Q * difference2;
            lines[12 + j] = PP * sum + QQ * sum2 + s[30 + j];
        }
        for (int i = 0; i < 3; i++) {
            float *m = lines + i * 6, sum = m[1] + m[2], difference = m[1] - m[2], sum2 = m[3] + m[4], difference2 = m[3] - m[4];
            gradient[(i * 3 + 0) * size + k] = m[0] + sum + sum2;
            gradient[(i * 3 + 1) * size + k] = P * difference + Q * difference2;
            gradient[(i * 3 + 2) * size + k] = PP * sum + QQ * sum2 + m[5];
        }
    }
    free(sums);
    return c.failed;
}

/* ---- 3x3 convolutions of few channels, such as photos: a product of each row of pixels, spread out, with the kernel ---- */

INLINE long spread_size(const Convolution *c) { return (9 * c->from + LANES - 1) / LANES * LANES; }

/* Lay the 3 x 3 x from values that each output of a row needs side by side; zeros outside the picture and at the end. */
static void spread_row(const Convolution *c, long line, float *out) {
    long size = spread_size(c), three = 3 * c->from, row = line % c->height;
    memset(out, 0, c->width * size * sizeof(float));
    for (long i = 0; i < 3; i++) {
        if (row + i < 1 || row + i > c->height) continue;
        const float *x = c->x + (line + i - 1) * c->width * c->from;
        for (long q = 0; q < c->width; q++) {
            long skip = q == 0 ? c->from : 0, count = three - skip - (q == c->width - 1 ? c->from : 0);
            float *to = out + q * size + i * three + skip;
            const float *from = x + (q - 1) * c->from + skip;
            for (long k = 0; k < count; k++) to[k] = from[k];
        }
    }
}

static void few_part(void *job, long first, long last, int number) {
    Convolution *c = job;
    long size = spread_size(c);
    Finish f = {c->bias, c->relu, 0};
    float *spread = scratch(c->width * size);
    (void)number;
    if (!spread) c->failed = 1;
    for (long line = first; line < last && !c->failed; line++) {
        spread_row(c, line, spread);
        product(spread, size, c->weights, c->to, c->y + line * c->width * c->y_stride, c->y_stride, c->width, 9 * c->from,
                c->to, &f);
    }
    free(spread);
}

static void few_gradient_part(void *job, long first, long last, int number) {
    Convolution *c = job;
    long size = spread_size(c);
    float *spread = scratch(c->width * size), *sums = c->sums + number * size * c->to;
    if (!spread) c->failed = 1;
    for (long line = first; line < last && !c->failed; line++) {
        spread_row(c, line, spread);
        outer_product(spread, size, c->d + line * c->width * c->d_stride, c->d_stride, sums, c->to, c->width, size, c->to);
    }
    free(spread);
}

/* 3x3 "same" convolution of x (without stride: its pixels side by side) with the plain kernel (3, 3, from, to). */
EXPORT int convolve_few(const float *x, const float *kernel, const float *bias, long relu, float *y, long y_stride,
                        long images, long height, long width, long from, long to, long threads) {
    Convolution c = {.x = x, .weights = kernel, .bias = bias, .relu = relu, .y = y, .y_stride = y_stride,
                     .height = height, .width = width, .from = from, .to = to};
    in_parallel(few_part, &c, images * height, threads);
    return c.failed;
}

/* Gradient of its kernel. Returns 0, or 1 without memory. */
EXPORT int kernel_gradient_few(const float *x, const float *d, long d_stride, float *gradient, long images, long height,
                               long width, long from, long to, long threads) {
    Convolution c = {.x = x, .d = d, .d_stride = d_stride, .height = height, .width = width, .from = from, .to = to};
    float *sums = scratch(spread_size(&c) * to);
    if (!sums || add_up(few_gradient_part, &c, images * height, sums, spread_size(&c) * to, threads)) c.failed = 1;
    if (!c.failed) memcpy(gradient, sums, 9 * from * to * sizeof(float));
    free(sums);
    return c.failed;
}

/* ---- 1x1 convolutions: matrix products over all pixels ---- */

#define PIXELS 96 /* at a time, so that they stay in the first-level cache */

static void pointwise_part(void *job, long first, long last, int number) {
    Convolution *c = job;
    Finish f = {c->bias, c->relu, c->add};
    (void)number;
    for (long p = first * PIXELS; p < last * PIXELS && p < c->height; p += PIXELS)
        product(c->x + p * c->x_stride, c->x_stride, c->weights, c->to, c->y + p * c->y_stride, c->y_stride,
                c->height - p < PIXELS ? c->height - p : PIXELS, c->from, c->to, &f);
}

static void pointwise_gradient_part(void *job, long first, long last, int number) {
    Convolution *c = job;
    float *sums = c->sums + number * c->from * c->to;
    for (long p = first * PIXELS; p < last * PIXELS && p < c->height; p += PIXELS)
        outer_product(c->x + p * c->x_stride, c->x_stride, c->d + p * c->d_stride, c->d_stride, sums, c->to,
                      c->height - p < PIXELS ? c->height - p : PIXELS, c->from, c->to);
}

/* y = x kernel for all pixels, then bias, relu, and added to what y holds, as asked; kernel: (from, to). */
EXPORT int convolve_1x1(const float *x, long x_stride, const float *kernel, const float *bias, long relu, long add, float *y,
                        long y_stride, long pixels, long from, long to, long threads) {
    Convolution c = {.x = x, .x_stride = x_stride, .weights = kernel, .bias = bias, .relu = relu, .add = add, .y = y,
                     .y_stride = y_stride, .height = pixels, .from = from, .to = to};
    in_parallel(pointwise_part, &c, (pixels + PIXELS - 1) / PIXELS, threads);
    return 0;
}

/* Gradient of the kernel (from, to) of a 1x1 convolution. Returns 0, or 1 without memory. */
EXPORT int kernel_gradient_1x1(const float *x, long x_stride, const float *d, long d_stride, float *gradient, long pixels,
                               long from, long to, long threads) {
    Convolution c = {.x = x, .x_stride = x_stride, .d = d, .d_stride = d_stride, .height = pixels, .from = from, .to = to};
    return add_up(pointwise_gradient_part, &c, (pixels + PIXELS - 1) / PIXELS, gradient, from * to, threads);
}

/* ---- batch norm ---- */

typedef double wide __attribute__((vector_size(64), aligned(8), may_alias));

#define FLUSH 256 /* pixels summed in float32 before they are added in float64 */

/* Whether an output is better written past the caches: it is large, and all its vectors are aligned. */
INLINE int goes_past(const float *y, long stride, long pixels) {
    return pixels * stride >= LARGE && (size_t)y % 32 == 0 && stride % LANES == 0;
}

INLINE void add_to(double *sum, pack v) { *(wide *)sum += __builtin_convertvector(v, wide); }


typedef struct {
    const float *x, *d, *a, *b, *e, *mean; /* values; gradients; a factor each for gradient, value, and one; means */
    float *y;
    double *first, *second; /* sums of each thread */
    long x_stride, d_stride, y_stride, pixels, channels;
    long relu;
    int failed;
} Norm;

/* Pixels seen together: few, so that memory is read and written in its order; more than one only where a pixel is so
 * short that its sums would wait for those of the one before. */
INLINE long strip_of(const Norm *n) { return n->channels < 64 ? 4 : 1; }

/* Add sums in float32 to those in float64, and begin again at zero. */
static void flush(float *sums, double *totals, long channels) {
    for (long channel = 0; channel < channels; channel += LANES) {
        add_to(totals + channel, load(sums + channel));
        store(sums + channel, all(0.0f));
    }
}

/* Sums over pixels of v and of v w, where v, w are: (x - a), (x - a), or with gradients: d, (x - a). */
static void sums_part(void *job, long first, long last, int number) {
    Norm *n = job;
    long strip = strip_of(n);
    double *one = n->first + number * n->channels, *two = n->second + number * n->channels;
    float *sums = scratch(2 * n->channels), *products = sums + n->channels;
    if (!sums) n->failed = 1;
    else memset(sums, 0, 2 * n->channels * sizeof(float));
    for (long p = first * strip; p < last * strip && p < n->pixels && !n->failed; p += strip) {
        long end = p + strip < n->pixels ? p + strip : n->pixels;
        for (long channel = 0; channel < n->channels; channel += LANES) {
            pack sum = load(sums + channel), product = load(products + channel), shift = load(n->a + channel);
            for (long q = p; q < end; q++) {
                pack w = load(n->x + q * n->x_stride + channel) - shift;
                pack v = n->d ? load(n->d + q * n->d_stride + channel) : w;
                sum += v;
                product += v * w;
            }
            store(sums + channel, sum);
            store(products + channel, product);
        }
        if (p % FLUSH == 0 || p + strip >= last * strip || end == n->pixels) {
            flush(sums, one, n->channels);
            flush(products, two, n->channels);
        }
    }
    free(sums);
}

static int sum_up(Norm *n, double *first, double *second, long threads) {
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    double *sums = calloc(2 * threads * n->channels, sizeof(double));
    if (!sums) return 1;
    n->first = sums;
    n->second = sums + threads * n->channels;
    long strip = strip_of(n);
    in_parallel(sums_part, n, (n->pixels + strip - 1) / strip, threads);
    for (long channel = 0; channel < n->channels; channel++) {
        first[channel] = second[channel] = 0.0;
        for (int i = 0; i < threads; i++) {
            first[channel] += n->first[i * n->channels + channel];
            second[channel] += n->second[i * n->channels + channel];
        }
    }
    free(sums);
    return n->failed;
}

/* Sums over all pixels of (x - shift) and its square: shift near the mean keeps them exact. 1 without memory. */
EXPORT int norm_sums(const float *x, long x_stride, const float *shift, double *first, double *second, long pixels,
                     long channels, long threads) {
    Norm n = {.x = x, .x_stride = x_stride, .a = shift, .pixels = pixels, .channels = channels};
    return sum_up(&n, first, second, threads);
}

/* Sums over all pixels of the gradients d, and of d (x - mean). 1 without memory. */
EXPORT int norm_gradient_sums(const float *x, long x_stride, const float *d, long d_stride, const float *mean,
                              double *first, double *second, long pixels, long channels, long threads) {
    Norm n = {.x = x, .x_stride = x_stride, .d = d, .d_stride = d_stride, .a = mean, .pixels = pixels, .channels = channels};
    return sum_up(&n, first, second, threads);
}

static void apply_part(void *job, long first, long last, int number) {
    Norm *n = job;
    int past = goes_past(n->y, n->y_stride, n->pixels);
    (void)number;
    for (long p = first; p < last; p++)
        for (long channel = 0; channel < n->channels; channel += LANES) {
            pack y = (load(n->x + p * n->x_stride + channel) - load(n->e + channel)) * load(n->a + channel) + load(n->b + channel);
            store_past(n->y + p * n->y_stride + channel, n->relu ? where_positive(y, y) : y, past);
        }
}

/* y = (x - mean) scale + shift, each channel its own, then relu if asked. */
EXPORT void norm_apply(const float *x, long x_stride, const float *mean, const float *scale, const float *shift, long relu, float *y,
                       long y_stride, long pixels, long channels, long threads) {
    Norm n = {.x = x, .x_stride = x_stride, .a = scale, .b = shift, .e = mean, .relu = relu, .y = y, .y_stride = y_stride,
              .pixels = pixels, .channels = channels};
    in_parallel(apply_part, &n, pixels, threads);
}

static void gradient_apply_part(void *job, long first, long last, int number) {
    Norm *n = job;
    long strip = strip_of(n);
    int past = goes_past(n->y, n->y_stride, n->pixels);
    float *sums = scratch(n->channels);
    if (!sums) n->failed = 1;
    else memset(sums, 0, n->channels * sizeof(float));
    for (long p = first * strip; p < last * strip && p < n->pixels && !n->failed; p += strip) {
        long end = p + strip < n->pixels ? p + strip : n->pixels;
        for (long channel = 0; channel < n->channels; channel += LANES) {
            pack a = load(n->a + channel), b = load(n->b + channel), e = load(n->e + channel);
            pack mean = load(n->mean + channel), sum = load(sums + channel);
            for (long q = p; q < end; q++) {
                pack x = load(n->x + q * n->x_stride + channel);
                pack y = a * load(n->d + q * n->d_stride + channel) + b * (x - mean) + e;
                if (n->relu) y = where_positive(x, y);
                sum += y;
                store_past(n->y + q * n->y_stride + channel, y, past);
            }
            store(sums + channel, sum);
        }
        if (p % FLUSH == 0 || p + strip >= last * strip || end == n->pixels)
            flush(sums, n->first + number * n->channels, n->channels);
    }
    free(sums);
}

/* y = a d + b (x - mean) + e where x > 0 (everywhere without relu), and the sum of y over all pixels: the gradient behind a norm
 * and the relu before it, and the gradient of the bias. 1 without memory. */
EXPORT int norm_gradient(const float *x, long x_stride, const float *d, long d_stride, const float *mean, const float *a,
                         const float *b, const float *e, long relu, float *y, long y_stride, double *sums, long pixels, long channels,
                         long threads) {
    Norm n = {.x = x, .x_stride = x_stride, .d = d, .d_stride = d_stride, .mean = mean, .a = a, .b = b, .e = e, .relu = relu, .y = y,
              .y_stride = y_stride, .pixels = pixels, .channels = channels};
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    n.first = calloc(threads * channels, sizeof(double));
    if (!n.first) return 1;
    long strip = strip_of(&n);
    in_parallel(gradient_apply_part, &n, (pixels + strip - 1) / strip, threads);
    for (long channel = 0; channel < channels; channel++) {
        sums[channel] = 0.0;
        for (int i = 0; i < threads; i++) sums[channel] += n.first[i * channels + channel];
    }
    free(n.first);
    return n.failed;
}

/* Whether this machine has the instructions that the library was built with. */
EXPORT int usable(void) {
#if defined(__AVX512VL__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("fma");
#elif defined(__AVX2__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return 1;
#endif
}
