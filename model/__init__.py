"""What both programs know about models: the compiler and the host twin. Imports wire only."""
