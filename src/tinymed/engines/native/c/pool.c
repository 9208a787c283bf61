#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

/* How long an idle thread looks for work before it sleeps: longer than the caller takes from one
 * operation to the next, so that an answer is computed without waking anybody up. */
#define LOOKS_BEFORE_SLEEP 4000

struct pool {
    /* The job's number in the upper half, its next chunk in the lower: taken together, so that a
     * thread that comes late never takes a chunk of another job than the one it has read. While
     * a job is written down the ticket has a number of its own and no chunk to take. */
    _Alignas(64) _Atomic uint64_t ticket;
    _Alignas(64) _Atomic int left; /* chunks not done yet */
    _Atomic(pool_work) work;
    _Atomic(void *) job;
    _Atomic int chunks;
    _Alignas(64) _Atomic int sleepers;
    _Atomic int stopping;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int threads;
    pthread_t *others;
    void *whole; /* as it was given; this begins at its first place that 64 divides */
};

typedef struct {
    pool *owner;
    int thread;
} member;

static inline void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#define NO_CHUNK UINT32_MAX

static uint64_t job_of(uint64_t ticket) { return ticket >> 32; }
static uint32_t chunk_of(uint64_t ticket) { return (uint32_t)ticket; }

/* Work on chunks of the job that the ticket names until none is left. */
static void take_part(pool *p, uint64_t ticket, int thread) {
    const uint64_t number = job_of(ticket);
    pool_work work = atomic_load_explicit(&p->work, memory_order_relaxed);
    void *job = atomic_load_explicit(&p->job, memory_order_relaxed);
    const uint32_t chunks = (uint32_t)atomic_load_explicit(&p->chunks, memory_order_relaxed);
    while (job_of(ticket) == number && chunk_of(ticket) < chunks) {
        if (!atomic_compare_exchange_weak(&p->ticket, &ticket, ticket + 1)) continue;
        work(job, (int)chunk_of(ticket), thread);
        atomic_fetch_sub_explicit(&p->left, 1, memory_order_release);
        ticket = atomic_load(&p->ticket);
    }
}

static void sleep_until(pool *p, uint64_t seen) {
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1);
    while (job_of(atomic_load(&p->ticket)) == seen && !atomic_load(&p->stopping))
        pthread_cond_wait(&p->wake, &p->lock);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
}

static void *live(void *argument) {
    member me = *(member *)argument;
    free(argument);
    pool *p = me.owner;
    uint64_t seen = 0;
    for (;;) {
        uint64_t ticket = atomic_load(&p->ticket);
        for (int look = 0; job_of(ticket) == seen && look < LOOKS_BEFORE_SLEEP; look++) {
            pause_briefly();
            ticket = atomic_load(&p->ticket);
        }
        if (job_of(ticket) == seen) sleep_until(p, seen);
        if (atomic_load(&p->stopping)) return NULL;
        ticket = atomic_load(&p->ticket);
        seen = job_of(ticket);
        take_part(p, ticket, me.thread);
    }
}

static void wake_sleepers(pool *p) {
    if (atomic_load(&p->sleepers) == 0) return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

pool *pool_start(int threads) {
    void *whole = malloc(sizeof(pool) + 63);
    if (whole == NULL) return NULL;
    pool *p = (pool *)(((uintptr_t)whole + 63) & ~(uintptr_t)63);
    p->whole = whole;
    atomic_init(&p->ticket, 0);
    atomic_init(&p->left, 0);
    atomic_init(&p->work, NULL);
    atomic_init(&p->job, NULL);
    atomic_init(&p->chunks, 0);
    atomic_init(&p->sleepers, 0);
    atomic_init(&p->stopping, 0);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    p->threads = 1;
    p->others = calloc((size_t)(threads > 1 ? threads - 1 : 1), sizeof *p->others);
    for (int thread = 1; p->others != NULL && thread < threads; thread++) {
        member *m = malloc(sizeof *m);
        if (m == NULL) break;
        *m = (member){p, thread};
        if (pthread_create(&p->others[thread - 1], NULL, live, m) != 0) {
            free(m);
            break;
        }
        p->threads++;
    }
    if (p->others != NULL && p->threads == (threads > 1 ? threads : 1)) return p;
    pool_stop(p);
    return NULL;
}

void pool_stop(pool *p) {
    if (p == NULL) return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->stopping, 1);
    /* A number that no thread has seen: those that look for work stop looking. */
    atomic_fetch_add(&p->ticket, (uint64_t)1 << 32);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (int thread = 1; thread < p->threads; thread++) pthread_join(p->others[thread - 1], NULL);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->wake);
    free(p->others);
    free(p->whole);
}

int pool_threads(const pool *p) { return p->threads; }

void pool_run(pool *p, pool_work work, void *job, int chunks) {
    if (p->threads == 1 || chunks == 1) {
        for (int chunk = 0; chunk < chunks; chunk++) work(job, chunk, 0);
        return;
    }
    const uint64_t number = job_of(atomic_load(&p->ticket)) + 1;
    atomic_store(&p->ticket, number << 32 | NO_CHUNK);
    atomic_store_explicit(&p->work, work, memory_order_relaxed);
    atomic_store_explicit(&p->job, job, memory_order_relaxed);
    atomic_store_explicit(&p->chunks, chunks, memory_order_relaxed);
    atomic_store_explicit(&p->left, chunks, memory_order_relaxed);
    const uint64_t ticket = (number + 1) << 32;
    atomic_store(&p->ticket, ticket);
    wake_sleepers(p);
    take_part(p, ticket, 0);
    for (int look = 0; atomic_load_explicit(&p->left, memory_order_acquire) > 0; look++) {
        if (look < LOOKS_BEFORE_SLEEP) pause_briefly();
        else sched_yield(); /* perhaps the thread that is waited for needs this processor */
    }
}
