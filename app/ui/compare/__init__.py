"""Base and adapters side by side: answers, votes, figures."""
