"""What is said when somebody asks: help, info, explain, doctor, the gallery."""
