"""What the agent does with a bench: finds boards, programs them, runs models on them."""
