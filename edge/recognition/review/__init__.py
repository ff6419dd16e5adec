"""Review queue: doubtful matches, answers of reviewers, and rejections made of them."""
