"""The fleet owner's desk: what is to be released, the signed repository, and who gets what when."""
