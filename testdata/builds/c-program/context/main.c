#include <stdio.h>
#include <stdlib.h>

#include "primes.h"

int main(int count, char **words)
{
    int limit = count > 1 ? atoi(words[1]) : 10;

    for (int number = 2; number <= limit; number++)
        if (is_prime(number))
            printf("%d ", number);
    puts("");
    return 0;
}
