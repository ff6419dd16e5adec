"""The Rekognition endpoint: the same detector, embedder and collections behind Amazon's wire protocol.

server          HTTP: routes, lanes, answers               call         one request, its ARNs and page tokens
listener        the address, and whom it is open to        bodies       bodies of requests, bounded
rules           kinds of constraint and how each is held   constraints  the table of constraints, per operation
errors          our errors as Rekognition's                sigv4        verification of signed requests
service         what the operations work with              vision       the endpoint's own models
worker          lanes: bounded queues, a share of a core   state        tags, tokens and processors in SQLite
images          bytes or S3Object to a picture             shapes       our words as Rekognition's structures
matching        searches with thresholds 0..100            quality_filter  which faces are worth it, and why not
taxonomy        names, ancestors, categories of labels     colors       what a picture is made of
operations/     one function an operation                  streams/     stream processors at work on frames
"""
