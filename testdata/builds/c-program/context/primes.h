int is_prime(int number);
