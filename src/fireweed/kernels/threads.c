/* Threads that stay: waking one takes far less time than starting one, and a net has dozens of calls a batch. */
#include "vectors.h"

#include <stdatomic.h>

/* Looks for work before a thread sleeps. Awake, it begins at once, but takes a core from whoever else computes. */
static atomic_int looks = 0;

typedef struct {
    void (*work)(void *, long, long, int);
    void *job;
    long first, last;
    int number;
} Part;

static struct {
    pthread_mutex_t busy;  /* held by the caller whose work is done */
    pthread_mutex_t guard; /* of the two conditions */
    pthread_cond_t begun, done;
    atomic_long round;  /* raised when there is work */
    atomic_int working; /* threads not yet done with the round */
    Part parts[MAX_THREADS];
    int threads, count; /* threads that there are; parts of the round */
    int heeds_forks;    /* whether a forked process begins anew */
} pool = {.busy = PTHREAD_MUTEX_INITIALIZER,
          .guard = PTHREAD_MUTEX_INITIALIZER,
          .begun = PTHREAD_COND_INITIALIZER,
          .done = PTHREAD_COND_INITIALIZER};

EXPORT void look_so_often(long times) { atomic_store(&looks, (int)times); }

INLINE void look_again(void) {
#if defined(__AVX2__)
    _mm_pause();
#endif
}

static void run_part(const Part *part) { part->work(part->job, part->first, part->last, part->number); }

typedef struct {
    int number;
    long round;
} Start;

static void *stay(void *argument) {
    Start start = *(Start *)argument;
    free(argument);
    for (long seen = start.round;;) {
        for (int i = 0; i < atomic_load(&looks) && atomic_load(&pool.round) == seen; i++) look_again();
        pthread_mutex_lock(&pool.guard);
        while (atomic_load(&pool.round) == seen) pthread_cond_wait(&pool.begun, &pool.guard);
        pthread_mutex_unlock(&pool.guard);
        seen++;
        if (start.number < pool.count) run_part(&pool.parts[start.number]);
        if (atomic_fetch_sub(&pool.working, 1) == 1) {
            pthread_mutex_lock(&pool.guard);
            pthread_cond_signal(&pool.done);
            pthread_mutex_unlock(&pool.guard);
        }
    }
    return NULL;
}

/* Let there be enough threads beside the caller's; returns how many there are. */
static int have_threads(int wanted) {
    while (pool.threads < wanted) {
        pthread_t handle;
        Start *start = malloc(sizeof(Start));
        if (!start) break;
        *start = (Start){pool.threads + 1, atomic_load(&pool.round)};
        if (pthread_create(&handle, NULL, stay, start) != 0) {
            free(start);
            break;
        }
        pthread_detach(handle);
        pool.threads++;
    }
    return pool.threads;
}

/* A forked process has none of its parent's threads, and its locks may be as another thread held them. */
static void begin_anew(void) {
    pthread_mutex_t fresh_mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t fresh_condition = PTHREAD_COND_INITIALIZER;
    pool.busy = pool.guard = fresh_mutex;
    pool.begun = pool.done = fresh_condition;
    pool.threads = 0;
}

/* Not when the library is loaded: a process may load one that its machine cannot run, and must be able to fork. */
static void prepare_for_forks(void) { pool.heeds_forks = pthread_atfork(NULL, NULL, begin_anew) == 0; }

static void run_together(int count) {
    pool.count = count;
    atomic_store(&pool.working, pool.threads);
    pthread_mutex_lock(&pool.guard);
    atomic_fetch_add(&pool.round, 1);
    pthread_cond_broadcast(&pool.begun);
    pthread_mutex_unlock(&pool.guard);
    run_part(&pool.parts[0]);
    for (int i = 0; i < atomic_load(&looks) && atomic_load(&pool.working) > 0; i++) look_again();
    pthread_mutex_lock(&pool.guard);
    while (atomic_load(&pool.working) > 0) pthread_cond_wait(&pool.done, &pool.guard);
    pthread_mutex_unlock(&pool.guard);
}

/* Callers take turns, since each uses all cores: a second one waits for the first. */
void in_parallel(void (*work)(void *, long, long, int), void *job, long count, long threads) {
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    if (threads > count) threads = count > 0 ? count : 1;
    if (threads > 1) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        pthread_once(&once, prepare_for_forks); /* before the lock: a fork may come while it is held */
        pthread_mutex_lock(&pool.busy);
    }
    int is_shared = threads > 1 && pool.heeds_forks && have_threads((int)threads - 1) >= threads - 1;
    for (int i = 0; i < threads; i++) {
        Part part = {work, job, count * i / threads, count * (i + 1) / threads, i};
        if (is_shared)
            pool.parts[i] = part;
        else
            run_part(&part); /* all by the caller, where no threads can be had */
    }
    if (is_shared) run_together((int)threads);
    if (threads > 1) pthread_mutex_unlock(&pool.busy);
}
