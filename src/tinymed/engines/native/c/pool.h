/* Threads that share the chunks of one job after another. */
#ifndef TINYMED_POOL_H
#define TINYMED_POOL_H

typedef struct pool pool;

/* Works on one chunk; thread is 0 to the number of threads - 1, and says whose scratch to use. */
typedef void (*pool_work)(void *job, int chunk, int thread);

/* Start threads - 1 threads beside the caller's; NULL where the system gives none. */
pool *pool_start(int threads);
void pool_stop(pool *);
int pool_threads(const pool *);

/* Work on chunks 0 to chunks - 1, in any order, and return when all are done.
 * A chunk goes to whichever thread is free: one that the system put aside holds up at most
 * the chunk that it has begun. One caller at a time. */
void pool_run(pool *, pool_work work, void *job, int chunks);

#endif
