"""Coverage-guided fuzzing of everything that reads what a user wrote; ``make fuzz`` runs it for a bounded time."""
