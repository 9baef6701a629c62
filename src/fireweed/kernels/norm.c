/* Batch norm (Ioffe and Szegedy, arXiv 1502.03167) in as few passes over memory as there can be. */
#include "vectors.h"

typedef double doubles __attribute__((vector_size(64), aligned(8), may_alias));

#define FLUSH 256 /* pixels summed in float32 before they are added in float64 */

/* Whether an output is better written past the caches: it is large, and all its vectors are aligned. */
INLINE int goes_past(const float *y, long stride, long pixels) {
    return pixels * stride >= LARGE && (size_t)y % 32 == 0 && stride % LANES == 0;
}

INLINE void add_to(double *sum, pack v) { *(doubles *)sum += __builtin_convertvector(v, doubles); }

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
    if (!sums)
        n->failed = 1;
    else
        memset(sums, 0, 2 * n->channels * sizeof(float));
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
    Norm n = {
        .x = x, .x_stride = x_stride, .d = d, .d_stride = d_stride, .a = mean, .pixels = pixels, .channels = channels};
    return sum_up(&n, first, second, threads);
}

static void apply_part(void *job, long first, long last, int number) {
    Norm *n = job;
    int past = goes_past(n->y, n->y_stride, n->pixels);
    (void)number;
    for (long p = first; p < last; p++)
        for (long channel = 0; channel < n->channels; channel += LANES) {
            pack y = (load(n->x + p * n->x_stride + channel) - load(n->mean + channel)) * load(n->a + channel) +
                     load(n->b + channel);
            store_past(n->y + p * n->y_stride + channel, y, past);
        }
    settle(past);
}

/* y = (x - mean) scale + shift, each channel its own. */
EXPORT int norm_apply(const float *x, long x_stride, const float *mean, const float *scale, const float *shift,
                      float *y, long y_stride, long pixels, long channels, long threads) {
    Norm n = {.x = x,
              .x_stride = x_stride,
              .a = scale,
              .b = shift,
              .mean = mean,
              .y = y,
              .y_stride = y_stride,
              .pixels = pixels,
              .channels = channels};
    in_parallel(apply_part, &n, pixels, threads);
    return 0;
}

static void gradient_apply_part(void *job, long first, long last, int number) {
    Norm *n = job;
    long strip = strip_of(n);
    int past = goes_past(n->y, n->y_stride, n->pixels);
    float *sums = scratch(n->channels);
    if (!sums)
        n->failed = 1;
    else
        memset(sums, 0, n->channels * sizeof(float));
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
    settle(past);
    free(sums);
}

/* y = a d + b (x - mean) + e where x > 0 (everywhere without relu), and the sum of y over all pixels: the gradient
 * behind a norm and the relu before it, and the gradient of the bias. 1 without memory. */
EXPORT int norm_gradient(const float *x, long x_stride, const float *d, long d_stride, const float *mean,
                         const float *a, const float *b, const float *e, long relu, float *y, long y_stride,
                         double *sums, long pixels, long channels, long threads) {
    Norm n = {.x = x,
              .x_stride = x_stride,
              .d = d,
              .d_stride = d_stride,
              .mean = mean,
              .a = a,
              .b = b,
              .e = e,
              .relu = relu,
              .y = y,
              .y_stride = y_stride,
              .pixels = pixels,
              .channels = channels};
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
