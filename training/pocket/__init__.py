"""How the model in the box is drawn, trained and measured; no part of the installed package."""
