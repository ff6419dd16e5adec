"""Where frames come from: each source yields ``Frame`` until it ends or raises SourceError."""
