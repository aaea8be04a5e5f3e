"""What is seen: plain lines, JSON, the terminal with its pictures and colours."""
