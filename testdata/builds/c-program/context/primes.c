#include "primes.h"

int is_prime(int number)
{
    for (int factor = 2; factor * factor <= number; factor++)
        if (number % factor == 0)
            return 0;
    return number > 1;
}
