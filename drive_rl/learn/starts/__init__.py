"""What a new run may start from: the policy of another driver, and a teacher's demonstrations."""
