"""How often names are right: data sets, embeddings of their faces, and what the product makes of them."""
