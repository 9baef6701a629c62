/* Vectors of 8 floats, threads and memory: what all kernels are made of.
 *
 * All tensors are float32, channels last. A tensor may be a slice of the channels of a wider one: its `stride` is the
 * number of floats from one pixel to the next. Channels come in whole vectors of 8. Work is split evenly among threads,
 * the same way every time, so results repeat exactly.
 */
#ifndef FIREWEED_VECTORS_H
#define FIREWEED_VECTORS_H

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define LANES 8
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
/* v where x > 0, else 0. */
INLINE pack where_positive(pack x, pack v) { return (pack)((mask)(x > 0) & (mask)v); }
/* What is not a number stays so, as elsewhere: it must not pass for a zero. */
INLINE pack relu_of(pack v) { return (pack)(~(mask)(v <= 0) & (mask)v); }
/* To be called by a thread that stored past the caches, before others read what it stored. */
INLINE void settle(int past) {
#if defined(__AVX2__)
    if (past) _mm_sfence();
#endif
    (void)past;
}

/* Split 0..count into one contiguous part a thread, each with its number from 0 on, and wait for all. */
void in_parallel(void (*work)(void *, long, long, int), void *job, long count, long threads);

static __attribute__((unused)) float *scratch(long floats) {
    void *p = NULL;
    return posix_memalign(&p, 64, (size_t)floats * sizeof(float)) ? NULL : p;
}

#endif
