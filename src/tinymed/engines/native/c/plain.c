/* For any processor: plain C, which the compiler turns into what it has. */
#define LANES_PLAIN
#define OPERATIONS operations_plain
#define OPERATIONS_NAME "plain C"
#include "operations.h"
