"""What synthetic people are made of: bodies, clothes, motion, and the renderer that draws them."""
