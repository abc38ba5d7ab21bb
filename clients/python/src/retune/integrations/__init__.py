"""Trials in the frameworks that people train with. None of them is imported unless the program has it loaded."""
