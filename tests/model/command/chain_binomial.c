/* A Reed-Frost epidemic: each of the susceptibles escapes each infective with probability 1 - p, day by day.
   usage: chain_binomial SUSCEPTIBLES P SEED FILE; writes {"size": people infected in the end, "days": days it took}. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t state;

/* splitmix64 */
static double uniform(void) {
    uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: chain_binomial SUSCEPTIBLES P SEED FILE\n");
        return 2;
    }
    int susceptible = atoi(argv[1]), infective = 1, size = 0, days = 0;
    double p = strtod(argv[2], NULL);
    state = strtoull(argv[3], NULL, 10);
    if (!(p >= 0 && p <= 1)) {
        fprintf(stderr, "p = %s is no probability\n", argv[2]);
        return 3;
    }
    while (infective > 0) {
        double caught = 1 - pow(1 - p, infective);
        int next = 0;
        for (int i = 0; i < susceptible; i++) next += uniform() < caught;
        susceptible -= next;
        size += next;
        infective = next;
        days += next > 0;
    }
    FILE *out = fopen(argv[4], "w");
    if (!out) return 4;
    fprintf(out, "{\"size\": %d, \"days\": %d}\n", size, days);
    return fclose(out) ? 5 : 0;
}
