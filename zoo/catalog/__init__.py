"""Which architectures there are, and how a user's words lead to one."""
